// CUDA: dropout keeps the elements that the CPU keeps, and float32 has the CPU's bits.
#include "engine/ops/elementwise.h"
#include "tests/cuda/bf16.h"
#include "tests/cuda/device_vector.h"
#include "tests/ops/elementwise_cases.h"

namespace ft::test {
namespace {

class CudaDropout : public ::testing::TestWithParam<DropoutCase> {
 protected:
  template <class T>
  static DropoutArgs<T> args(const T* x, T* y, IndexView row, IndexView position, bool accumulate) {
    DropoutArgs<T> a;
    a.tokens = GetParam().tokens;
    a.cols = GetParam().cols;
    a.x = x;
    a.y = y;
    a.accumulate = accumulate;
    a.p = GetParam().p;
    a.key = GetParam().key;
    a.site = 3;
    a.row = row;
    a.position = position;
    return a;
  }
  template <class T>
  static void check(int64_t skip) {
    const int64_t tokens = GetParam().tokens, n = tokens * GetParam().cols;
    std::vector<int32_t> rows, positions;
    for (int32_t t = 0; t < tokens; ++t) {
      rows.push_back(t / 5 + 100);
      positions.push_back(t % 5);
    }
    const DeviceIndex row(rows), position(positions);
    const auto x = random_inputs<T>(n, "x"), old = random_inputs<T>(n, "y");
    DeviceVector<T> device_x(as_type<T>(x), skip), y(n, skip);
    for (const bool accumulate : {false, true}) {
      auto expected = old;
      dropout(stream(), args(x.data(), expected.data(), row.view(), position.view(), accumulate));
      y.upload(as_type<T>(old));
      dropout(cuda_stream(), args<T>(device_x.data(), y.data(), row.view(), position.view(), accumulate));
      expect_same_bits(y.host(), as_type<T>(expected), accumulate ? "accumulated" : "dropout");
      if (accumulate) continue;
      dropout(cuda_stream(), args<T>(device_x.data(), device_x.data(), row.view(), position.view(), false));
      expect_same_bits(device_x.host(), as_type<T>(expected), "in place");
      device_x.upload(as_type<T>(x));
    }
  }
};

TEST_P(CudaDropout, keeps_what_the_cpu_keeps_bit_for_bit) {
  check<float>(0);
  check<BF16>(0);
}
TEST_P(CudaDropout, rows_need_not_be_aligned) {
  check<float>(1);
  check<BF16>(1);
  check<F16>(1);
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaDropout, ::testing::ValuesIn(dropout_cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace ft::test
