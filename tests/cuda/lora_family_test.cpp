// CUDA: what the LoRA family does on its small matrices, with the bits of the CPU's; row_dot, which adds in
// another order, as exact as the plain loop.
#include "engine/ops/importance.h"
#include "engine/ops/magnitude.h"
#include "tests/cuda/device_vector.h"
#include "tests/ops/op_test.h"
#include "tests/ops/row_scale_cases.h"

namespace ft::test {
namespace {

class CudaRowScale : public ::testing::TestWithParam<RowScaleCase> {};

TEST_P(CudaRowScale, is_the_cpus) {
  const RowScaleCase& c = GetParam();
  const int64_t count = c.rows * c.cols;
  const auto x = random_vector<float>(count, "x"), dy = random_vector<float>(count, "dy"),
             scale = random_vector<float>(c.rows, "scale");
  auto y = random_vector<float>(count, "y"), out = random_vector<float>(c.rows, "out"), plain = out;
  const auto y0 = y, out0 = out;
  row_scale(stream(), RowScaleArgs<float>{c.rows, c.cols, x.data(), scale.data(), y.data(), c.accumulate});
  row_dot_oracle(RowDotArgs<float>{c.rows, c.cols, x.data(), dy.data(), 0.5f, plain.data(), c.accumulate});
  auto wide_x = widen(x), wide_dy = widen(dy), reference = widen(out);
  row_dot_oracle(
      RowDotArgs<double>{c.rows, c.cols, wide_x.data(), wide_dy.data(), 0.5, reference.data(), c.accumulate});
  for (const int64_t skip : {0, 1}) {
    const DeviceVector<float> device_x(x, skip), device_dy(dy, skip), device_scale(scale, skip);
    DeviceVector<float> device_y(y0, skip), device_out(out0, skip);
    row_scale(cuda_stream(), RowScaleArgs<float>{c.rows, c.cols, device_x.data(), device_scale.data(),
                                                 device_y.data(), c.accumulate});
    row_dot(cuda_stream(), RowDotArgs<float>{c.rows, c.cols, device_x.data(), device_dy.data(), 0.5f,
                                             device_out.data(), c.accumulate});
    expect_same_bits(device_y.host(), y, "y");
    expect_earned(device_out.host(), plain, reference);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaRowScale, ::testing::ValuesIn(row_scale_cases()),
                         [](const auto& info) { return info.param.name; });

TEST(CudaMagnitude, has_the_bits_of_the_cpu) {
  constexpr int64_t kCount = 1030;
  const auto m = random_vector<float>(kCount, "m"), cross = random_vector<float>(kCount, "cross");
  auto squares = random_vector<float>(kCount, "squares", 0.2, 2);
  squares[7] = 0;
  std::vector<float> factor(kCount), inverse(kCount);
  magnitude(stream(), MagnitudeArgs<float>{kCount, m.data(), squares.data(), cross.data(), 0.3f, 1.f,
                                           factor.data(), inverse.data()});
  const DeviceVector<float> device_m(m), device_squares(squares), device_cross(cross);
  DeviceVector<float> device_factor(kCount), device_inverse(kCount);
  magnitude(cuda_stream(),
            MagnitudeArgs<float>{kCount, device_m.data(), device_squares.data(), device_cross.data(), 0.3f,
                                 1.f, device_factor.data(), device_inverse.data()});
  expect_same_bits(device_factor.host(), factor, "factor");
  expect_same_bits(device_inverse.host(), inverse, "inverse");
}

TEST(CudaImportance, has_the_bits_of_the_cpu) {
  constexpr int64_t kCount = 1030;
  const auto w = random_vector<float>(kCount, "w"), grad = random_vector<float>(kCount, "grad");
  auto average = random_vector<float>(kCount, "average"), uncertainty = random_vector<float>(kCount, "u");
  const DeviceVector<float> device_w(w), device_grad(grad);
  DeviceVector<float> device_average(average), device_uncertainty(uncertainty);
  importance(stream(), ImportanceArgs<float>{kCount, w.data(), grad.data(), 0.7f, 0.85f, 0.9f, average.data(),
                                             uncertainty.data()});
  importance(cuda_stream(), ImportanceArgs<float>{kCount, device_w.data(), device_grad.data(), 0.7f, 0.85f,
                                                  0.9f, device_average.data(), device_uncertainty.data()});
  expect_same_bits(device_average.host(), average, "average");
  expect_same_bits(device_uncertainty.host(), uncertainty, "uncertainty");
}

}  // namespace
}  // namespace ft::test
