// Bits that must not change: a row alone or among others, at any stride, next to anything, on any number of
// threads.
#include <limits>

#include "tests/ops/matmul_data.h"

namespace ft::test {
namespace {

struct Shape2 {
  int64_t outputs, inputs;
};
constexpr Shape2 kShapes[] = {{50, 70}, {97, 600}, {600, 33}};

template <class T>
void rows_alone_and_together(DType dtype) {
  constexpr int64_t kTokens = 300;
  for (const auto& shape : kShapes) {
    const int64_t outputs = shape.outputs, inputs = shape.inputs;  // Clang 14 captures no part of a binding
    const MatmulData<T> start({kTokens, outputs, inputs, 0, true}, dtype);
    for_each_target([&] {
      MatmulData<T> all = start, all_back = start;
      matmul(stream(), all.forward());
      matmul_grad_input(stream(), all_back.grad_input());
      for (const int64_t group : {1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 31, 48, 49, 100, 200}) {
        // The same rows in another place, at another stride, between rows of NaN.
        const int64_t row = std::min<int64_t>(17 + group, kTokens - group);
        MatmulCase c = {group, outputs, inputs, 9, true};
        MatmulData<T> d(c, dtype);
        d.w = start.w;
        d.bias = start.bias;
        std::fill(d.x.begin(), d.x.end(), std::numeric_limits<T>::quiet_NaN());
        std::fill(d.y.begin(), d.y.end(), std::numeric_limits<T>::quiet_NaN());
        MatmulData<T> back = d;
        for (int64_t i = 0; i < group; ++i) {
          std::copy_n(start.x.begin() + (row + i) * start.ldx, inputs, d.x.begin() + i * d.ldx);
          std::copy_n(start.y.begin() + (row + i) * start.ldy, outputs, back.y.begin() + i * d.ldy);
        }
        matmul(stream(), d.forward());
        matmul_grad_input(stream(), back.grad_input());
        for (int64_t i = 0; i < group; ++i) {
          EXPECT_EQ(std::memcmp(&d.y[static_cast<size_t>(i * d.ldy)],
                                &all.y[static_cast<size_t>((row + i) * all.ldy)],
                                static_cast<size_t>(outputs) * sizeof(T)),
                    0)
              << group << " rows, row " << i;
          EXPECT_EQ(std::memcmp(&back.x[static_cast<size_t>(i * d.ldx)],
                                &all_back.x[static_cast<size_t>((row + i) * all.ldx)],
                                static_cast<size_t>(inputs) * sizeof(T)),
                    0)
              << group << " rows back, row " << i;
          EXPECT_TRUE(std::isnan(d.y[static_cast<size_t>(i * d.ldy + outputs)])) << "written behind the row";
          EXPECT_TRUE(std::isnan(back.x[static_cast<size_t>(i * d.ldx + inputs)]))
              << "written behind the row";
        }
      }
    });
  }
}

TEST(matmul, a_row_has_the_same_bits_alone_and_among_others) {
  for (const DType dtype : kStorages) {
    SCOPED_TRACE(dtype_name(dtype));
    rows_alone_and_together<float>(dtype);
  }
}
TEST(matmul, a_row_has_the_same_bits_alone_and_among_others_in_float64) {
  rows_alone_and_together<double>(DType::f64);
}

TEST(matmul, any_number_of_threads_gives_the_same_bits) {
  for (const MatmulCase& c : {MatmulCase{1, 3000, 90}, MatmulCase{5, 1000, 700, 0, true, true},
                              MatmulCase{40, 700, 300}, MatmulCase{500, 200, 300, 1, true}}) {
    SCOPED_TRACE(c.name());
    const MatmulData<float> start(c, DType::bf16);
    MatmulData<float> one = start, one_back = start;
    matmul(stream(1), one.forward());
    matmul_grad_input(stream(1), one_back.grad_input());
    for (const int threads : kThreadCounts) {
      MatmulData<float> d = start, back = start;
      matmul(stream(threads), d.forward());
      matmul_grad_input(stream(threads), back.grad_input());
      expect_same_bits(d.y, one.y, "y");
      expect_same_bits(back.x, one_back.x, "dx");
    }
  }
}

}  // namespace
}  // namespace ft::test
