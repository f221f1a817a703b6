// CUDA: columns times factors. Forward has the CPU's bits in float32; gradients are as exact as the plain
// loop.
#include "engine/ops/column_scale.h"

#include "tests/cuda/bf16.h"
#include "tests/cuda/device_vector.h"
#include "tests/ops/column_scale_cases.h"
#include "tests/ops/column_scale_oracle.h"

namespace ft::test {
namespace {

/// Numbers that activations of type T hold exactly; factors are float32.
struct Inputs {
  template <class T>
  static Inputs of(const ColumnScaleCase& c) {
    Inputs in{c, bounds_of(c.lengths), {}, {}, {}, {}, {}, {}};
    const int64_t count = in.bounds.back() * c.cols;
    in.x = random_inputs<T>(count, "x");
    in.dy = random_inputs<T>(count, "dy");
    in.dx = random_inputs<T>(count, "dx");
    in.scale = random_vector<float>(c.cols, "scale", 0.5, 1);
    in.dscale = random_vector<float>(c.cols, "dscale");
    in.pivot = random_vector<float>(c.cols, "pivot");
    return in;
  }
  ColumnScaleCase spec;
  std::vector<int32_t> bounds;
  std::vector<float> x, dy, dx, scale, dscale, pivot;
};

template <class T>
struct Results {
  std::vector<T> y, dx;
  std::vector<Wide<T>> dscale;
};

template <class T>
Results<T> plain(const Inputs& in) {
  const std::vector<T> x(in.x.begin(), in.x.end()), dy(in.dy.begin(), in.dy.end()),
      scale(in.scale.begin(), in.scale.end()), pivot(in.pivot.begin(), in.pivot.end());
  const T* at = in.spec.pivot ? pivot.data() : nullptr;
  Results<T> out{
      std::vector<T>(x.size()), {in.dx.begin(), in.dx.end()}, {in.dscale.begin(), in.dscale.end()}};
  column_scale_oracle(
      ColumnScaleArgs<T>{in.bounds.back(), in.spec.cols, x.data(), scale.data(), out.y.data(), at});
  column_scale_grad_oracle(ColumnScaleGradArgs<T>{segments_of(in.bounds), in.spec.cols, dy.data(), x.data(),
                                                  scale.data(), out.dx.data(), in.spec.accumulate,
                                                  out.dscale.data(), at});
  return out;
}

/// Every buffer `skip` elements behind a 16-byte boundary.
template <class T>
Results<T> on_cuda(const Inputs& in, int64_t skip = 0) {
  const DeviceIndex bounds(in.bounds);
  const DeviceVector<T> x(as_type<T>(in.x), skip), dy(as_type<T>(in.dy), skip);
  const DeviceVector<float> scale(in.scale, skip), pivot(in.pivot, skip);
  const float* at = in.spec.pivot ? pivot.data() : nullptr;
  DeviceVector<T> y(x.size(), skip), dx(as_type<T>(in.dx), skip);
  DeviceVector<float> dscale(in.dscale, skip);
  column_scale(cuda_stream(),
               ColumnScaleArgs<T>{in.bounds.back(), in.spec.cols, x.data(), scale.data(), y.data(), at});
  column_scale_grad(cuda_stream(),
                    ColumnScaleGradArgs<T>{bounds.segments(), in.spec.cols, dy.data(), x.data(), scale.data(),
                                           dx.data(), in.spec.accumulate, dscale.data(), at});
  return {y.host(), dx.host(), dscale.host()};
}

class CudaColumnScale : public ::testing::TestWithParam<ColumnScaleCase> {
 protected:
  template <class T>
  static void check() {
    const auto in = Inputs::of<T>(GetParam());
    const auto got = on_cuda<T>(in), again = on_cuda<T>(in), elsewhere = on_cuda<T>(in, 1);
    const auto reference = plain<double>(in);
    const auto single = plain<float>(in);
    expect_same_bits(got.y, as_type<T>(single.y), "y");
    expect_earned_as(got.dx, single.dx, reference.dx, 1);
    expect_earned(got.dscale, single.dscale, reference.dscale, 2);
    for (const auto& other : {again, elsewhere}) {
      expect_same_bits(got.y, other.y, "y again");
      expect_same_bits(got.dx, other.dx, "dx again");
      expect_same_bits(got.dscale, other.dscale, "dscale again");
    }
  }
};

TEST_P(CudaColumnScale, float32_is_as_exact_as_the_plain_loop) {
  check<float>();
}
TEST_P(CudaColumnScale, bfloat16_is_rounded_once) {
  check<BF16>();
}
TEST_P(CudaColumnScale, float16_is_rounded_once) {
  check<F16>();
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaColumnScale, ::testing::ValuesIn(column_scale_cases()),
                         [](const auto& info) { return info.param.name; });

TEST(CudaColumnScaleAlias, dx_may_be_the_buffer_of_dy) {
  const auto in = Inputs::of<BF16>(column_scale_cases()[2]);
  const DeviceIndex bounds(in.bounds);
  const DeviceVector<BF16> x(as_type<BF16>(in.x));
  const DeviceVector<float> scale(in.scale);
  DeviceVector<BF16> dy(as_type<BF16>(in.dy));
  DeviceVector<float> dscale(in.dscale);
  column_scale_grad(cuda_stream(),
                    ColumnScaleGradArgs<BF16>{bounds.segments(), in.spec.cols, dy.data(), x.data(),
                                              scale.data(), dy.data(), false, dscale.data()});
  const auto apart = on_cuda<BF16>(in);
  expect_same_bits(dy.host(), apart.dx, "dx over dy");
  expect_same_bits(dscale.host(), apart.dscale, "dscale, dx over dy");
}

}  // namespace
}  // namespace ft::test
