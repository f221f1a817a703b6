// The two axes of every row swapped, bit for bit. A block writes a run of neighbouring elements of one row;
// what it reads lies a stride apart, in a row that the cache holds.
#include "engine/ops/pieces.h"

#include "kernels/cuda/launch.h"

namespace ft {
namespace {

constexpr int kSwapThreads = 256;

template <class T>
__global__ void __launch_bounds__(kSwapThreads) swap_axes_kernel(SwapAxesArgs<T> a) {
  const auto outer = static_cast<uint32_t>(a.outer), inner = static_cast<uint32_t>(a.inner);
  const uint32_t cols = outer * inner, at = blockIdx.y * kSwapThreads + threadIdx.x;
  if (at >= cols) return;
  const int64_t row = int64_t{blockIdx.x} * cols;
  a.y[row + at] = a.x[row + (at % outer) * inner + at / outer];
}

template <class T>
void swap_axes_impl(CudaStream& s, const SwapAxesArgs<T>& a) {
  if (a.tokens == 0 || a.outer == 0 || a.inner == 0) return;
  const dim3 grid(static_cast<unsigned>(a.tokens),
                  static_cast<unsigned>(blocks_for(a.outer * a.inner, kSwapThreads)));
  swap_axes_kernel<<<grid, kSwapThreads, 0, s.handle()>>>(a);
  check_launch("swap_axes");
}

}  // namespace

void swap_axes(CudaStream& s, const SwapAxesArgs<float>& a) {
  swap_axes_impl(s, a);
}
void swap_axes(CudaStream& s, const SwapAxesArgs<BF16>& a) {
  swap_axes_impl(s, a);
}
void swap_axes(CudaStream& s, const SwapAxesArgs<F16>& a) {
  swap_axes_impl(s, a);
}

}  // namespace ft
