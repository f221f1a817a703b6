// Matrix products with a packed weight W [N, K] (N outputs, K inputs):
//   matmul               y  [T, N] (+)= x [T, K] Wᵀ + b
//   matmul_grad_input    dx [T, K] (+)= dy [T, N] W             from the same packed copy
//   matmul_grad_weight   dW [N, K]  +=  Σ over samples of dyᵀ x  in the packed layout
// Invariants on the CPU: an output row depends on its input row and W alone (never on T, on its neighbours or
// on the threads); dW is summed sample by sample in order, each sample's sum formed by itself. On CUDA the
// library's algorithm follows from the shape alone, so a run repeats its bits, but T may change them.
//
// Layout of W, and of dW. CPU: panels of 16 rows, [ceil(N/16)][K][16], the last panel padded with zeros;
// element (n, k) is data[(n/16 * K + k) * 16 + n % 16]. CUDA: row-major [N, K]. One copy serves both
// directions; storage float32, float64 (CPU), bfloat16 or float16, widened to the compute type in cache. It
// does not depend on the instruction set.
#pragma once

#include <cstdint>

#include "engine/core/backend_streams.h"
#include "engine/core/segments.h"

namespace ft {

constexpr int64_t kPanelRows = 16;

/// Elements of a packed [rows, cols] matrix, padding included.
constexpr int64_t packed_elements(int64_t rows, int64_t cols) {
  return (rows + kPanelRows - 1) / kPanelRows * kPanelRows * cols;
}
constexpr int64_t packed_index(int64_t n, int64_t k, int64_t cols) {
  return (n / kPanelRows * cols + k) * kPanelRows + n % kPanelRows;
}

struct PackedView {
  DType dtype = DType::f32;
  int64_t rows = 0, cols = 0;  // N, K
  const void* data = nullptr;
};

template <class T>
struct MatmulArgs {
  int64_t tokens = 0;
  PackedView w;
  const T* x = nullptr;  // [tokens, K], row stride ldx
  int64_t ldx = 0;
  const Wide<T>* bias = nullptr;  // [N] or null
  T* y = nullptr;                 // [tokens, N], row stride ldy
  int64_t ldy = 0;
  bool accumulate = false;  // y += instead of y =
};

template <class T>
struct MatmulGradInputArgs {
  int64_t tokens = 0;
  PackedView w;
  const T* dy = nullptr;  // [tokens, N], row stride ldy
  int64_t ldy = 0;
  T* dx = nullptr;  // [tokens, K], row stride ldx
  int64_t ldx = 0;
  bool accumulate = false;
};

template <class T>
struct MatmulGradWeightArgs {
  Segments segments;
  int64_t rows = 0, cols = 0;  // N, K
  const T* dy = nullptr;       // [tokens, N], row stride ldy
  int64_t ldy = 0;
  const T* x = nullptr;  // [tokens, K], row stride ldx
  int64_t ldx = 0;
  Wide<T>* dw = nullptr;  // layout of W, added to; padding stays zero
};

void matmul(CpuStream&, const MatmulArgs<float>&);
void matmul(CpuStream&, const MatmulArgs<double>&);
void matmul(CudaStream&, const MatmulArgs<float>&);
void matmul(CudaStream&, const MatmulArgs<BF16>&);
void matmul(CudaStream&, const MatmulArgs<F16>&);
void matmul_grad_input(CpuStream&, const MatmulGradInputArgs<float>&);
void matmul_grad_input(CpuStream&, const MatmulGradInputArgs<double>&);
void matmul_grad_input(CudaStream&, const MatmulGradInputArgs<float>&);
void matmul_grad_input(CudaStream&, const MatmulGradInputArgs<BF16>&);
void matmul_grad_input(CudaStream&, const MatmulGradInputArgs<F16>&);
void matmul_grad_weight(CpuStream&, const MatmulGradWeightArgs<float>&);
void matmul_grad_weight(CpuStream&, const MatmulGradWeightArgs<double>&);
void matmul_grad_weight(CudaStream&, const MatmulGradWeightArgs<float>&);
void matmul_grad_weight(CudaStream&, const MatmulGradWeightArgs<BF16>&);
void matmul_grad_weight(CudaStream&, const MatmulGradWeightArgs<F16>&);

/// Packs rows [row, row + count) of a plain float32 source (row stride ld) into `data` of type `dtype`; the
/// caller zeroes the buffer first when N is not a multiple of 16.
void pack_rows(DType dtype, int64_t rows, int64_t cols, void* data, int64_t row, int64_t count,
               const float* source, int64_t ld);
/// The inverse: widens rows [row, row + count) into plain float32 rows.
void unpack_rows(const PackedView& w, int64_t row, int64_t count, float* out, int64_t ld);

}  // namespace ft
