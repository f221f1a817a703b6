// What a Kronecker product asks of activations. (W₁ ⊗ W₂) x, with x [m·n] seen as a matrix X [m, n], is
// W₁ X W₂ᵀ: one map on each of the m pieces of n columns, the two axes swapped, the other map on what are
// pieces now, and the axes swapped back.
//   swap_axes          y[t, c, b] = x[t, b, c]: exact; one read and one write. Its gradient is the swap back.
//   linear_of_pieces   the same matrix on each piece of every row; saved for backward: x, where it is
//   trained.
#pragma once

#include <cstdint>

#include "engine/autograd/fwd.h"
#include "engine/core/backend_streams.h"

namespace ft {

template <class T>
struct SwapAxesArgs {
  int64_t tokens = 0, outer = 0, inner = 0;
  const T* x = nullptr;  // [tokens, outer, inner]
  T* y = nullptr;        // [tokens, inner, outer]; another buffer than x
};

void swap_axes(CpuStream&, const SwapAxesArgs<float>&);
void swap_axes(CpuStream&, const SwapAxesArgs<double>&);
void swap_axes(CudaStream&, const SwapAxesArgs<float>&);
void swap_axes(CudaStream&, const SwapAxesArgs<BF16>&);
void swap_axes(CudaStream&, const SwapAxesArgs<F16>&);

// ---- differentiable

/// x [tokens, outer · inner] → [tokens, inner · outer].
Var swap_axes(Tape&, const Var& x, int64_t outer);

/// x [tokens, pieces · in] → [tokens, pieces · out] by `weight` [out, in], packed. A weight's gradient is
/// summed sample by sample, as everywhere.
Var linear_of_pieces(Tape&, const Var& x, Parameter& weight);

}  // namespace ft
