// Gradients of the matrix product: certificates in float64, the weight gradient against plain loops, and the
// promise that its bits do not depend on how samples are grouped into calls.
#include <limits>

#include "tests/ops/matmul_data.h"

namespace ft::test {
namespace {

template <class T>
struct WeightGradData {
  int64_t rows, cols, ldx, ldy;
  std::vector<int32_t> bounds;
  std::vector<T> x, dy, dw;

  WeightGradData(int64_t rows_, int64_t cols_, const std::vector<int32_t>& lengths, int64_t pad = 0)
      : rows(rows_), cols(cols_), ldx(cols + pad), ldy(rows + pad), bounds(bounds_of(lengths)) {
    const int64_t tokens = bounds.back();
    x = random_vector<T>(tokens * ldx, "x");
    dy = random_vector<T>(tokens * ldy, "dy");
    dw.assign(static_cast<size_t>(packed_elements(rows, cols)), 0);
    for (int64_t n = 0; n < rows; ++n) {
      for (int64_t k = 0; k < cols; ++k)
        dw[static_cast<size_t>(packed_index(n, k, cols))] = static_cast<T>(n % 5 - k % 3);
    }
  }
  MatmulGradWeightArgs<T> args() {
    return {segments_of(bounds), rows, cols, dy.data(), ldy, x.data(), ldx, dw.data()};
  }
};

struct Size {
  int64_t rows, cols, pad;
};
constexpr Size kSizes[] = {{1, 1, 0}, {16, 6, 0}, {17, 13, 3}, {50, 200, 0}, {100, 31, 1}, {130, 400, 0}};

TEST(matmul_grad_weight, float32_is_within_the_error_of_a_plain_loop) {
  for (const auto [rows, cols, pad] : kSizes) {
    for (const auto& lengths : sample_lengths()) {
      const WeightGradData<float> start(rows, cols, lengths, pad);
      WeightGradData<float> plain = start;
      const auto reference = matmul_grad_weight_oracle<double>(plain.args());
      const auto loop = matmul_grad_weight_oracle<float>(plain.args());
      for_each_target([&] {
        WeightGradData<float> d = start;
        matmul_grad_weight(stream(), d.args());
        expect_earned(d.dw, loop, reference);
      });
    }
  }
}

TEST(matmul_grad_weight, samples_in_one_call_or_in_many_give_the_same_bits) {
  const std::vector<int32_t> lengths = {90, 33, 1, 64, 0, 300, 7, 128};
  for (const auto [rows, cols, pad] : kSizes) {
    const WeightGradData<float> start(rows, cols, lengths, pad);
    for_each_target([&] {
      WeightGradData<float> once = start;
      matmul_grad_weight(stream(), once.args());
      const auto grouped = [&](const std::vector<size_t>& groups) {
        WeightGradData<float> d = start;
        size_t s = 0;
        for (const size_t count : groups) {
          std::vector<int32_t> bounds;
          for (size_t i = 0; i <= count; ++i) bounds.push_back(d.bounds[s + i] - d.bounds[s]);
          auto a = d.args();
          a.segments = segments_of(bounds);
          a.x += d.bounds[s] * d.ldx;
          a.dy += d.bounds[s] * d.ldy;
          matmul_grad_weight(stream(), a);
          s += count;
        }
        return d.dw;
      };
      expect_same_bits(grouped({1, 1, 1, 1, 1, 1, 1, 1}), once.dw, "eight calls");
      expect_same_bits(grouped({3, 5}), once.dw, "3 + 5");
      for (const int threads : kThreadCounts) {
        WeightGradData<float> d = start;
        matmul_grad_weight(stream(threads), d.args());
        expect_same_bits(d.dw, once.dw, "threads");
      }
    });
  }
}

TEST(matmul_grad_weight, padding_stays_zero_next_to_infinities) {
  for (const std::vector<int32_t>& lengths : {std::vector<int32_t>{20}, {700, 3}}) {
    WeightGradData<float> d(21, 40, lengths);
    d.x[3] = std::numeric_limits<float>::infinity();
    d.dy[5] = std::numeric_limits<float>::quiet_NaN();
    for_each_target([&] {
      WeightGradData<float> g = d;
      matmul_grad_weight(stream(), g.args());
      for (int64_t n = 21; n < 32; ++n) {
        for (int64_t k = 0; k < 40; ++k) EXPECT_EQ(g.dw[static_cast<size_t>(packed_index(n, k, 40))], 0.0f);
      }
      EXPECT_TRUE(std::isinf(g.dw[static_cast<size_t>(packed_index(0, 3, 40))]));
      EXPECT_TRUE(std::isnan(g.dw[static_cast<size_t>(packed_index(5, 0, 40))]));
      EXPECT_TRUE(std::isfinite(g.dw[static_cast<size_t>(packed_index(0, 4, 40))]));
    });
  }
}

constexpr double kStep =
    1e-2;  // the loss is linear in each operand: no truncation, so a wide step for less rounding

TEST(matmul, gradients_pass_central_differences_in_float64) {
  for (const MatmulCase& c : matmul_cases()) {
    if (c.tokens * c.outputs * c.inputs > 300000) continue;
    SCOPED_TRACE(c.name());
    MatmulCase once = c;
    once.accumulate = false;
    for_each_target([&] {
      MatmulData<double> d(once, DType::f64);
      const int64_t T = c.tokens, N = c.outputs, K = c.inputs;
      const std::vector<double> dy = random_vector<double>(T * d.ldy, "dy");
      std::vector<double> dy_rows = dy;  // guard columns carry no loss
      for (int64_t t = 0; t < T; ++t) std::fill_n(dy_rows.begin() + t * d.ldy + N, d.ldy - N, 0.0);
      const auto loss = [&] {
        matmul(stream(), d.forward());
        return dot(d.y, dy_rows);
      };
      std::vector<double> dx(d.x.size(), 0.0);
      matmul_grad_input(stream(), {T, d.w.view, dy.data(), d.ldy, dx.data(), d.ldx});
      expect_gradient(d.x, loss, dx, 2e-8, kStep);

      const std::vector<int32_t> bounds = {0, static_cast<int32_t>(T / 3), static_cast<int32_t>(T)};
      std::vector<double> dw(d.w.bytes.size() / sizeof(double), 0.0), w(dw.size());
      matmul_grad_weight(stream(),
                         {segments_of(bounds), N, K, dy.data(), d.ldy, d.x.data(), d.ldx, dw.data()});
      std::memcpy(w.data(), d.w.bytes.data(), d.w.bytes.size());
      d.w.view.data = w.data();
      expect_gradient(w, loss, dw, 2e-8, kStep);
    });
  }
}

}  // namespace
}  // namespace ft::test
