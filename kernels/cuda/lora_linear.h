// A linear layer with its LoRA adapter in one kernel: y = x Wᵀ + b + s·(x Aᵀ) Bᵀ (Hu et al. 2021, eq. 3).
// One of the plans of low_rank_linear.cpp, which says when it is taken.
#pragma once

#include <cstdint>

#include "engine/core/stream.h"

namespace ft {

/// As in matmul.h and low_rank.h: A [r, K] and B stored transposed, Bt [r, N], both float32.
template <class T>
struct LoraLinearArgs {
  int64_t tokens = 0, outputs = 0, inputs = 0, rank = 0;  // T, N, K, r: 1 to 64
  const T* x = nullptr;                                   // [T, K], row stride ldx
  int64_t ldx = 0;
  const T* w = nullptr;           // [N, K]
  const Wide<T>* bias = nullptr;  // [N] or null
  const Wide<T>* a = nullptr;     // [r, K]
  const Wide<T>* bt = nullptr;    // [r, N]
  Wide<T> scale = 1;
  T* y = nullptr;  // [T, N], row stride ldy, overwritten
  int64_t ldy = 0;
  T* u = nullptr;  // [T, r] or null: x Aᵀ, for backward
};

/// float32 in IEEE arithmetic; 16-bit types on tensor cores, with A, Bt and s·x Aᵀ rounded to T.
void lora_linear(CudaStream&, const LoraLinearArgs<float>&);
void lora_linear(CudaStream&, const LoraLinearArgs<BF16>&);
void lora_linear(CudaStream&, const LoraLinearArgs<F16>&);

}  // namespace ft
