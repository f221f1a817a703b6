// Rotary position embedding (Su et al. 2021), in place, on the first rotary_dim features of each head:
// half-split pairs (i, i + rotary_dim/2) as Hugging Face's LLaMA has them, or neighbouring pairs (2i, 2i +
// 1). Angles are given per token (cos, sin [tokens, rotary_dim/2]): the caller computes them once a pass for
// all layers, so every scaling rule, also one that depends on a row's own length, is a table. inverse =
// backward.
#pragma once

#include <cstdint>

#include "engine/autograd/fwd.h"
#include "engine/core/backend_streams.h"
#include "engine/core/tensor.h"

namespace ft {

template <class T>
struct RopeArgs {
  int64_t tokens = 0, heads = 0, head_dim = 0, rotary_dim = 0;
  T* x = nullptr;  // [tokens, heads·head_dim], row stride ld; in place
  int64_t ld = 0;
  const Wide<T>*cos = nullptr, *sin = nullptr;  // [tokens, rotary_dim / 2]
  bool interleaved = false;
  bool inverse = false;
};

void rope(CpuStream&, const RopeArgs<float>&);
void rope(CpuStream&, const RopeArgs<double>&);
void rope(CudaStream&, const RopeArgs<float>&);
void rope(CudaStream&, const RopeArgs<BF16>&);
void rope(CudaStream&, const RopeArgs<F16>&);

// ---- differentiable

/// Rotates columns [column, column + heads · head_dim) of x in place; the value returned shares x's storage,
/// and x must not be read afterwards. cos and sin: [tokens, rotary_dim / 2] in the compute type.
Var rope(Tape&, const Var& x, int64_t column, int64_t heads, int64_t head_dim, const Tensor& cos,
         const Tensor& sin, bool interleaved);

}  // namespace ft
