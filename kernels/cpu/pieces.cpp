// The two axes of every row swapped: bound by memory; tasks are rows.
#include "engine/ops/pieces.h"

#include "kernels/cpu/blocks.h"

namespace ft {
namespace {

template <class T>
void swap_axes_impl(CpuStream& stream, const SwapAxesArgs<T>& a) {
  const int64_t cols = a.outer * a.inner;
  parallel_blocks(stream, a.tokens, rows_per_task(cols), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* x = a.x + row * cols;
      T* y = a.y + row * cols;
      for (int64_t c = 0; c < a.inner; ++c)
        for (int64_t b = 0; b < a.outer; ++b) y[c * a.outer + b] = x[b * a.inner + c];
    }
  });
}

}  // namespace

void swap_axes(CpuStream& s, const SwapAxesArgs<float>& a) {
  swap_axes_impl(s, a);
}
void swap_axes(CpuStream& s, const SwapAxesArgs<double>& a) {
  swap_axes_impl(s, a);
}

}  // namespace ft
