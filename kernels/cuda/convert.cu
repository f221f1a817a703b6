// y[i, :] = x[i, :] in another type. Reads every element once, writes it once; a thread has eight
// neighbouring columns, read and written 16 bytes at a time where both matrices are aligned for it.
#include "kernels/cuda/convert.h"

#include "kernels/cuda/launch.h"
#include "kernels/cuda/pack.cuh"

namespace ft {

namespace {

constexpr int kThreads = 128, kColumns = 8;

/// A block is kThreads threads: x along a row, y over neighbouring rows, so that narrow matrices fill it too.
template <class From, class To>
__global__ void __launch_bounds__(kThreads)
    convert_rows_kernel(int64_t rows, int64_t cols, const From* __restrict__ x, int64_t ldx,
                        To* __restrict__ y, int64_t ldy, bool aligned) {
  const int64_t r = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  const int64_t c = (int64_t{blockIdx.y} * blockDim.x + threadIdx.x) * kColumns;
  if (r >= rows || c >= cols) return;
  float v[kColumns];
  load_values(x + r * ldx + c, cols - c, aligned, v);
  store_values(y + r * ldy + c, cols - c, aligned, v);
}

template <class From, class To>
void convert(CudaStream& s, const ConvertRowsArgs& a) {
  const auto* x = static_cast<const From*>(a.x);
  auto* y = static_cast<To*>(a.y);
  // A single row has no stride to keep.
  const bool one = a.rows == 1;
  const bool aligned = aligned_rows(x, one ? 0 : a.ldx) && aligned_rows(y, one ? 0 : a.ldy);
  unsigned along = 1;
  while (along < kThreads && int64_t{along} * kColumns < a.cols) along *= 2;
  const dim3 block(along, kThreads / along);
  const dim3 grid(static_cast<unsigned>(blocks_for(a.rows, block.y)),
                  static_cast<unsigned>(blocks_for(a.cols, int64_t{along} * kColumns)));
  convert_rows_kernel<<<grid, block, 0, s.handle()>>>(a.rows, a.cols, x, a.ldx, y, a.ldy, aligned);
  check_launch("convert_rows");
}

using StorageTypes = ComputeTypes<float, BF16, F16>;

}  // namespace

void convert_rows(CudaStream& s, const ConvertRowsArgs& a) {
  if (a.rows == 0 || a.cols == 0) return;
  FT_CHECK(a.ldx >= a.cols && a.ldy >= a.cols,
           "[convert_rows] expected row strides of at least {}, got {} and {}", a.cols, a.ldx, a.ldy);
  dispatch_compute(StorageTypes(), a.from, [&]<class From>() {
    dispatch_compute(StorageTypes(), a.to, [&]<class To>() { convert<From, To>(s, a); });
  });
}

}  // namespace ft
