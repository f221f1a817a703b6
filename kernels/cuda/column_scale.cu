// Columns times a factor each, and the gradients. A warp has a row; x, y, dy and dx go by 16 bytes a thread
// where addresses allow it, the factors stay in L1. dscale is a column sum of dy·x: per sample in order, no
// atomics (column_sum.cuh). Each result is rounded once.
#include "engine/ops/column_scale.h"

#include "kernels/cuda/column_sum.cuh"
#include "kernels/cuda/row_grid.cuh"

namespace ft {
namespace {

/// y (+)= x · scale, or y = pivot + (x − pivot) · scale.
template <class T, bool kPivot>
__global__ void __launch_bounds__(kWarp* kRowsPerBlock)
    column_scale_kernel(int64_t rows, int64_t cols, const T* x, const float* scale, const float* pivot, T* y,
                        bool accumulate, bool aligned) {
  constexpr int kN = kGroup<T>;
  const int64_t row = row_of_warp(), start = row * cols;
  if (row >= rows) return;
  for_each_group((cols + kN - 1) / kN, [&](int64_t group) {
    const int64_t c = group * kN;
    float v[kN], l[kN], old[kN] = {};
    load_values(x + start + c, cols - c, aligned, v);
    load_values(scale + c, cols - c, aligned, l);
    if constexpr (kPivot) {
      load_values(pivot + c, cols - c, aligned, old);
#pragma unroll
      for (int k = 0; k < kN; ++k) v[k] = __fadd_rn(__fmul_rn(__fsub_rn(v[k], old[k]), l[k]), old[k]);
    } else {
      if (accumulate) load_values(y + start + c, cols - c, aligned, old);
#pragma unroll
      for (int k = 0; k < kN; ++k) v[k] = accumulate ? fmaf(v[k], l[k], old[k]) : __fmul_rn(v[k], l[k]);
    }
    store_values(y + start + c, cols - c, aligned, v);
  });
}

/// What a row adds to dscale.
template <class T>
struct Products {
  const T *dy, *x;
  const float* pivot;
  int64_t cols;
  bool aligned;
  __device__ __forceinline__ void operator()(int64_t row, int64_t c, float (&v)[1][kGroup<T>]) const {
    float other[kGroup<T>];
    load_values(dy + row * cols + c, cols - c, aligned, v[0]);
    load_values(x + row * cols + c, cols - c, aligned, other);
    if (pivot) {
      float p[kGroup<T>];
      load_values(pivot + c, cols - c, aligned, p);
#pragma unroll
      for (int k = 0; k < kGroup<T>; ++k) other[k] = __fsub_rn(other[k], p[k]);
    }
#pragma unroll
    for (int k = 0; k < kGroup<T>; ++k) v[0][k] *= other[k];
  }
};

template <class T>
void scale_rows(CudaStream& s, const char* op, int64_t rows, int64_t cols, const T* x, const float* scale,
                const float* pivot, T* y, bool accumulate) {
  if (rows == 0 || cols == 0) return;
  const bool aligned =
      aligned_rows(x, cols) && aligned_rows(y) && aligned_rows(scale) && (!pivot || aligned_rows(pivot));
  const RowGrid grid(rows, blocks_for(cols, kGroup<T>));
  const auto kernel = pivot ? column_scale_kernel<T, true> : column_scale_kernel<T, false>;
  kernel<<<grid.blocks, grid.threads, 0, s.handle()>>>(rows, cols, x, scale, pivot, y, accumulate, aligned);
  check_launch(op);
}

template <class T>
void column_scale_impl(CudaStream& s, const ColumnScaleArgs<T>& a) {
  scale_rows(s, "column_scale", a.rows, a.cols, a.x, a.scale, a.pivot, a.y, false);
}

template <class T>
void column_scale_grad_impl(CudaStream& s, const ColumnScaleGradArgs<T>& a) {
  // The sums over columns come first: dx may be the buffer of dy.
  if (a.dscale)
    add_column_sums<T>(s, "column_scale_grad", a.segments, 1, a.cols,
                       Products<T>{a.dy, a.x, a.pivot, a.cols,
                                   aligned_rows(a.dy, a.cols) && aligned_rows(a.x, a.cols) &&
                                       (!a.pivot || aligned_rows(a.pivot))},
                       ColumnOutputs<1>{{a.dscale}});
  if (a.dx)
    scale_rows(s, "column_scale_grad", a.segments.tokens(), a.cols, a.dy, a.scale, nullptr, a.dx,
               a.accumulate);
}

}  // namespace

void column_scale(CudaStream& s, const ColumnScaleArgs<float>& a) {
  column_scale_impl(s, a);
}
void column_scale(CudaStream& s, const ColumnScaleArgs<BF16>& a) {
  column_scale_impl(s, a);
}
void column_scale(CudaStream& s, const ColumnScaleArgs<F16>& a) {
  column_scale_impl(s, a);
}
void column_scale_grad(CudaStream& s, const ColumnScaleGradArgs<float>& a) {
  column_scale_grad_impl(s, a);
}
void column_scale_grad(CudaStream& s, const ColumnScaleGradArgs<BF16>& a) {
  column_scale_grad_impl(s, a);
}
void column_scale_grad(CudaStream& s, const ColumnScaleGradArgs<F16>& a) {
  column_scale_grad_impl(s, a);
}

}  // namespace ft
