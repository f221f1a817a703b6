// RMSNorm (Zhang and Sennrich 2019) and LayerNorm (Ba et al. 2016), with the residual addition before it
// fused:
//   h = x + residual;  y = (h − mean)·rstd·(weight + weight_offset) + bias      (mean = 0 for RMSNorm)
// Saved for backward: h (the caller's `sum`, or x when there is no residual), mean and rstd per row.
// Rows are independent; weight gradients are summed sample by sample in order.
#pragma once

#include <cstdint>
#include <utility>

#include "engine/autograd/fwd.h"
#include "engine/core/backend_streams.h"
#include "engine/core/segments.h"

namespace ft {

template <class T>
struct NormArgs {
  int64_t rows = 0, cols = 0;
  const T* x = nullptr;             // [rows, cols]
  const T* residual = nullptr;      // [rows, cols] or null
  const Wide<T>* weight = nullptr;  // [cols]
  const Wide<T>* bias = nullptr;    // [cols] or null
  Wide<T> eps = 0;
  Wide<T> weight_offset = 0;  // 1 for Gemma
  bool center = false;        // LayerNorm
  T* sum = nullptr;           // [rows, cols]: h; null when residual is null; may alias x or residual
  T* y = nullptr;             // [rows, cols]
  Wide<T>* mean = nullptr;    // [rows], LayerNorm only
  Wide<T>* rstd = nullptr;    // [rows]
};

template <class T>
struct NormGradArgs {
  Segments segments;           // of tokens
  int64_t rows_per_token = 1;  // > 1: per-head norms (Qwen3), rows = tokens · rows_per_token
  int64_t cols = 0;
  const T* dy = nullptr;
  const T* h = nullptr;           // normalised input
  const Wide<T>* mean = nullptr;  // null for RMSNorm
  const Wide<T>* rstd = nullptr;
  const Wide<T>* weight = nullptr;
  Wide<T> weight_offset = 0;
  T* dh = nullptr;  // [rows, cols] or null
  bool accumulate = false;
  Wide<T>* dweight = nullptr;  // [cols], added to, or null
  Wide<T>* dbias = nullptr;    // [cols], added to, or null
};

void norm(CpuStream&, const NormArgs<float>&);
void norm(CpuStream&, const NormArgs<double>&);
void norm(CudaStream&, const NormArgs<float>&);
void norm(CudaStream&, const NormArgs<BF16>&);
void norm(CudaStream&, const NormArgs<F16>&);
void norm_grad(CpuStream&, const NormGradArgs<float>&);
void norm_grad(CpuStream&, const NormGradArgs<double>&);
void norm_grad(CudaStream&, const NormGradArgs<float>&);
void norm_grad(CudaStream&, const NormGradArgs<BF16>&);
void norm_grad(CudaStream&, const NormGradArgs<F16>&);

// ---- differentiable

struct NormOptions {
  double eps = 1e-5;
  double weight_offset = 0;
  bool center = false;         // LayerNorm
  int64_t rows_per_token = 1;  // per-head norms: x is [tokens, heads · cols] seen as tokens · heads rows
};
/// Norm of x over the last `weight`-many features.
Var norm(Tape&, const Var& x, Parameter& weight, Parameter* bias, const NormOptions& options);

/// h = x + residual and its norm y in one sweep. Returns {h, y}.
std::pair<Var, Var> residual_norm(Tape&, const Var& x, const Var& residual, Parameter& weight,
                                  Parameter* bias, const NormOptions& options);

}  // namespace ft
