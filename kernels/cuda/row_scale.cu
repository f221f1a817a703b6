// Rows times a factor each, and dot products of rows. row_scale: a warp has a slice of a row (row_grid.cuh),
// each result rounded as on the CPU. row_dot: a warp has a row, lane l its elements l, l + 32, …, in double
// as on the CPU; the lanes' sums are combined in a fixed order.
#include "engine/ops/row_scale.h"

#include "kernels/cuda/pack.cuh"
#include "kernels/cuda/row_grid.cuh"

namespace ft {
namespace {

__global__ void __launch_bounds__(kWarp* kRowsPerBlock)
    row_scale_kernel(int64_t rows, int64_t cols, const float* x, const float* scale, float* y,
                     bool accumulate, bool aligned) {
  constexpr int kN = kGroup<float>;
  const int64_t row = row_of_warp(), start = row * cols;
  if (row >= rows) return;
  const float s = scale[row];
  for_each_group((cols + kN - 1) / kN, [&](int64_t group) {
    const int64_t c = group * kN;
    float v[kN], old[kN] = {};
    load_values(x + start + c, cols - c, aligned, v);
    if (accumulate) load_values(y + start + c, cols - c, aligned, old);
#pragma unroll
    for (int k = 0; k < kN; ++k)
      v[k] = accumulate ? __fadd_rn(old[k], __fmul_rn(s, v[k])) : __fmul_rn(s, v[k]);
    store_values(y + start + c, cols - c, aligned, v);
  });
}

__global__ void __launch_bounds__(kWarp* kRowsPerBlock)
    row_dot_kernel(int64_t rows, int64_t cols, const float* a, const float* b, float factor, float* out,
                   bool accumulate) {
  const int64_t row = row_of_warp();
  if (row >= rows) return;
  double sum = 0;
#pragma unroll 4
  for (int64_t c = row * cols + threadIdx.x; c < (row + 1) * cols; c += kWarp)
    sum = __fma_rn(static_cast<double>(a[c]), static_cast<double>(b[c]), sum);
  sum = warp_sum(sum);
  if (threadIdx.x != 0) return;
  const float value = __fmul_rn(factor, static_cast<float>(sum));
  out[row] = accumulate ? __fadd_rn(out[row], value) : value;
}

}  // namespace

void row_scale(CudaStream& s, const RowScaleArgs<float>& a) {
  if (a.rows == 0 || a.cols == 0) return;
  const bool aligned = aligned_rows(a.x, a.cols) && aligned_rows(a.y);
  const RowGrid grid(a.rows, blocks_for(a.cols, kGroup<float>));
  row_scale_kernel<<<grid.blocks, grid.threads, 0, s.handle()>>>(a.rows, a.cols, a.x, a.scale, a.y,
                                                                 a.accumulate, aligned);
  check_launch("row_scale");
}
void row_dot(CudaStream& s, const RowDotArgs<float>& a) {
  if (a.rows == 0) return;
  const RowGrid grid(a.rows, 1);
  row_dot_kernel<<<grid.blocks, grid.threads, 0, s.handle()>>>(a.rows, a.cols, a.a, a.b, a.factor, a.out,
                                                               a.accumulate);
  check_launch("row_dot");
}

}  // namespace ft
