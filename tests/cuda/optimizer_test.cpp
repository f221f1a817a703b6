// CUDA: optimizer steps with the bits of the CPU's, and the squared norm in double.
#include "engine/ops/optimizer.h"

#include <fmt/format.h>

#include "tests/cuda/device_vector.h"
#include "tests/ops/op_test.h"
#include "tests/ops/optimizer_cases.h"

namespace ft::test {
namespace {

constexpr int kSteps = 3;

class CudaAdamW : public ::testing::TestWithParam<AdamWCase> {};

TEST_P(CudaAdamW, has_the_bits_of_the_cpu) {
  const AdamWCase& c = GetParam();
  for (const int64_t skip : {0, 1}) {
    auto w = random_vector<float>(c.count, "w");
    std::vector<float> m(w.size()), v(w.size());
    DeviceVector<float> device_w(w, skip), device_m(m, skip), device_v(v, skip);
    for (int64_t t = 1; t <= kSteps; ++t) {
      const auto grad = random_vector<float>(c.count, fmt::format("grad{}", t), 0.1);
      const DeviceVector<float> device_grad(grad, skip);
      AdamWArgs<float> a{c.count, w.data(), grad.data(), m.data(),       v.data(),     c.lr,
                         c.beta1, c.beta2,  c.eps,       c.weight_decay, c.grad_scale, t};
      adamw(stream(), a);
      a.w = device_w.data();
      a.grad = device_grad.data();
      a.m = device_m.data();
      a.v = device_v.data();
      adamw(cuda_stream(), a);
    }
    expect_same_bits(device_w.host(), w, "w");
    expect_same_bits(device_m.host(), m, "m");
    expect_same_bits(device_v.host(), v, "v");
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaAdamW, ::testing::ValuesIn(adamw_cases()),
                         [](const auto& info) { return info.param.name; });

class CudaSgd : public ::testing::TestWithParam<SgdCase> {};

TEST_P(CudaSgd, has_the_bits_of_the_cpu) {
  const SgdCase& c = GetParam();
  auto w = random_vector<float>(c.count, "w");
  // What buf holds before the first step must not matter.
  std::vector<float> buf(w.size(), std::numeric_limits<float>::quiet_NaN());
  DeviceVector<float> device_w(w), device_buf(buf);
  const bool momentum = c.momentum != 0;
  for (int64_t t = 1; t <= kSteps; ++t) {
    const auto grad = random_vector<float>(c.count, fmt::format("grad{}", t), 0.1);
    const DeviceVector<float> device_grad(grad);
    SgdArgs<float> a{c.count, w.data(),   grad.data(),    momentum ? buf.data() : nullptr,
                     c.lr,    c.momentum, c.weight_decay, c.grad_scale,
                     t};
    sgd(stream(), a);
    a.w = device_w.data();
    a.grad = device_grad.data();
    a.buf = momentum ? device_buf.data() : nullptr;
    sgd(cuda_stream(), a);
  }
  expect_same_bits(device_w.host(), w, "w");
  expect_same_bits(device_buf.host(), buf, "buf");
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaSgd, ::testing::ValuesIn(sgd_cases()),
                         [](const auto& info) { return info.param.name; });

double sum_squares_of(const std::vector<float>& x, int64_t skip = 0) {
  const DeviceVector<float> device_x(x, skip);
  DeviceVector<double> out(std::vector<double>{-1});
  sum_squares(cuda_stream(), SumSquaresArgs<float>{device_x.size(), device_x.data(), out.data()});
  return out.host()[0];
}

TEST(CudaSumSquares, is_exact_to_double_with_the_same_bits_at_any_address) {
  for (const int64_t n : {0, 1, 5, 1023, 16384, 16385, 50003}) {
    const auto x = random_vector<float>(n, "x");
    long double expected = 0;
    for (const float v : x) expected += static_cast<long double>(v) * v;
    const double got = sum_squares_of(x);
    EXPECT_NEAR(got, static_cast<double>(expected), 1e-14 * static_cast<double>(n + 1));
    EXPECT_EQ(sum_squares_of(x, 1), got);
  }
}

TEST(CudaSumSquares, large_and_bad_numbers_show) {
  std::vector<float> x(100, 3e38f);
  EXPECT_NEAR(sum_squares_of(x) / 9e78, 1, 1e-6);  // beyond float
  x[97] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(sum_squares_of(x), std::numeric_limits<double>::infinity());
  x[98] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(sum_squares_of(x)));
}

}  // namespace
}  // namespace ft::test
