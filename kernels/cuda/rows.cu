// Rows copied by index, bit for bit: a warp a row, 16 bytes a thread where addresses allow it.
#include "engine/ops/rows.h"

#include "kernels/cuda/pack.cuh"
#include "kernels/cuda/row_grid.cuh"

namespace ft {
namespace {

template <class T>
__global__ void __launch_bounds__(kWarp* kRowsPerBlock) copy_rows_kernel(CopyRowsArgs<T> a, bool aligned) {
  constexpr int kN = kGroup<T>;
  const int64_t row = row_of_warp();
  if (row >= a.count) return;
  const T* x = a.x + (a.from.device ? a.from.device[row] : row) * a.ldx;
  T* y = a.y + (a.to.device ? a.to.device[row] : row) * a.ldy;
  for_each_group((a.cols + kN - 1) / kN, [&](int64_t group) {
    const int64_t c = group * kN;
    if (aligned && c + kN <= a.cols) {
      *reinterpret_cast<Group<T, kN>*>(y + c) = *reinterpret_cast<const Group<T, kN>*>(x + c);
    } else {
#pragma unroll
      for (int k = 0; k < kN; ++k)
        if (c + k < a.cols) y[c + k] = x[c + k];
    }
  });
}

template <class T>
void copy_rows_impl(CudaStream& s, const CopyRowsArgs<T>& a) {
  FT_CHECK(!a.from.host == !a.from.device && !a.to.host == !a.to.device,
           "[copy_rows] expected the indices on the host and on the device, or on neither");
  if (a.count == 0 || a.cols == 0) return;
  const bool aligned = aligned_rows(a.x, a.ldx) && aligned_rows(a.y, a.ldy);
  const RowGrid grid(a.count, blocks_for(a.cols, kGroup<T>));
  copy_rows_kernel<<<grid.blocks, grid.threads, 0, s.handle()>>>(a, aligned);
  check_launch("copy_rows");
}

}  // namespace

void copy_rows(CudaStream& s, const CopyRowsArgs<float>& a) {
  copy_rows_impl(s, a);
}
void copy_rows(CudaStream& s, const CopyRowsArgs<BF16>& a) {
  copy_rows_impl(s, a);
}
void copy_rows(CudaStream& s, const CopyRowsArgs<F16>& a) {
  copy_rows_impl(s, a);
}

}  // namespace ft
