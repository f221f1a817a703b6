// CUDA: the axes of rows swapped, bit for bit.
#include "engine/ops/pieces.h"

#include "tests/cuda/bf16.h"
#include "tests/cuda/device_vector.h"
#include "tests/ops/pieces_cases.h"

namespace ft::test {
namespace {

class CudaSwapAxes : public ::testing::TestWithParam<SwapAxesCase> {
 protected:
  template <class T>
  static void check() {
    const auto& [name, tokens, outer, inner] = GetParam();
    const auto x = random_inputs<T>(tokens * outer * inner, "x");
    std::vector<float> want(x.size());
    swap_axes_oracle(SwapAxesArgs<float>{tokens, outer, inner, x.data(), want.data()});
    const DeviceVector<T> device_x(as_type<T>(x), 1);
    DeviceVector<T> y(device_x.size(), 1);
    swap_axes(cuda_stream(), SwapAxesArgs<T>{tokens, outer, inner, device_x.data(), y.data()});
    expect_same_bits(y.host(), as_type<T>(want), "y");
  }
};

TEST_P(CudaSwapAxes, moves_every_element_to_its_place) {
  check<float>();
  check<BF16>();
  check<F16>();
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaSwapAxes, ::testing::ValuesIn(swap_axes_cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace ft::test
