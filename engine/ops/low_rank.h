// The thin products of LoRA (Hu et al. 2021): y += s·(x Aᵀ) Bᵀ with A [r, K] and B stored transposed, Bt [r,
// N], so that forward and backward need three kernels:
//   low_rank_down   u [T, r] = scale · x [T, C] Wᵀ          (W = A forward, W = Bt for du = s·dy B)
//   low_rank_up     y [T, C] (+)= scale · u [T, r] W        (W = Bt forward, W = A for dx = du A)
//   low_rank_grad   dW [r, C] += Σ over samples scale · uᵀ x   (dA from du and x, dBt from u and dy)
// Same invariants as matmul.h. W is row-major [r, C] in the compute type. Cost: 2·T·r·C each.
#pragma once

#include <cstdint>

#include "engine/core/backend_streams.h"
#include "engine/core/segments.h"

namespace ft {

template <class T>
struct LowRankDownArgs {
  int64_t tokens = 0, rank = 0, cols = 0;  // T, r, C
  const T* x = nullptr;                    // [T, C], row stride ldx
  int64_t ldx = 0;
  const Wide<T>* w = nullptr;  // [r, C]
  Wide<T> scale = 1;
  T* u = nullptr;  // [T, r], overwritten
};

template <class T>
struct LowRankUpArgs {
  int64_t tokens = 0, rank = 0, cols = 0;
  const T* u = nullptr;        // [T, r]
  const Wide<T>* w = nullptr;  // [r, C]
  Wide<T> scale = 1;
  T* y = nullptr;  // [T, C], row stride ldy
  int64_t ldy = 0;
  bool accumulate = true;
};

template <class T>
struct LowRankGradArgs {
  Segments segments;
  int64_t rank = 0, cols = 0;
  const T* u = nullptr;  // [T, r]
  const T* x = nullptr;  // [T, C], row stride ldx
  int64_t ldx = 0;
  Wide<T> scale = 1;
  Wide<T>* dw = nullptr;  // [r, C], added to
};

void low_rank_down(CpuStream&, const LowRankDownArgs<float>&);
void low_rank_down(CpuStream&, const LowRankDownArgs<double>&);
void low_rank_down(CudaStream&, const LowRankDownArgs<float>&);
void low_rank_down(CudaStream&, const LowRankDownArgs<BF16>&);
void low_rank_down(CudaStream&, const LowRankDownArgs<F16>&);
void low_rank_up(CpuStream&, const LowRankUpArgs<float>&);
void low_rank_up(CpuStream&, const LowRankUpArgs<double>&);
void low_rank_up(CudaStream&, const LowRankUpArgs<float>&);
void low_rank_up(CudaStream&, const LowRankUpArgs<BF16>&);
void low_rank_up(CudaStream&, const LowRankUpArgs<F16>&);
void low_rank_grad(CpuStream&, const LowRankGradArgs<float>&);
void low_rank_grad(CpuStream&, const LowRankGradArgs<double>&);
void low_rank_grad(CudaStream&, const LowRankGradArgs<float>&);
void low_rank_grad(CudaStream&, const LowRankGradArgs<BF16>&);
void low_rank_grad(CudaStream&, const LowRankGradArgs<F16>&);

}  // namespace ft
