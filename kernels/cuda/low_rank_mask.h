// LoRA's thin products with dropout of the wide operand made on the way (low_rank.h has them without): the
// mask is formed where x is read, or dx is written, so no dropped copy exists. The factor 1/(1 − p) goes into
// the product's own scale.
#pragma once

#include "engine/ops/low_rank.h"

namespace ft {

/// What is kept, as elementwise.h's dropout keeps it; arrays of the device. p = 0: all of it.
struct DropoutMask {
  float p = 0;
  uint64_t key = 0;
  uint32_t site = 0;
  const int32_t *row = nullptr, *position = nullptr;  // [T]
};

/// u = scale · drop(x) Wᵀ.
void low_rank_down(CudaStream&, const LowRankDownArgs<float>&, const DropoutMask&);
void low_rank_down(CudaStream&, const LowRankDownArgs<BF16>&, const DropoutMask&);
void low_rank_down(CudaStream&, const LowRankDownArgs<F16>&, const DropoutMask&);
/// y (+)= drop(scale · u W).
void low_rank_up(CudaStream&, const LowRankUpArgs<float>&, const DropoutMask&);
void low_rank_up(CudaStream&, const LowRankUpArgs<BF16>&, const DropoutMask&);
void low_rank_up(CudaStream&, const LowRankUpArgs<F16>&, const DropoutMask&);
/// dW += Σ over samples scale · uᵀ drop(x).
void low_rank_grad(CudaStream&, const LowRankGradArgs<float>&, const DropoutMask&);
void low_rank_grad(CudaStream&, const LowRankGradArgs<BF16>&, const DropoutMask&);
void low_rank_grad(CudaStream&, const LowRankGradArgs<F16>&, const DropoutMask&);

}  // namespace ft
