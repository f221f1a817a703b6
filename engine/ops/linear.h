// The linear map with frozen or trainable weight and any number of low-rank terms (LoRA):
//   y = x Wᵀ + b + Σ_i s_i · (dropout_i(x) A_iᵀ) B_iᵀ
// One op, so that the thin products ride on the big one. Saved for backward: x (when A or W is trained) and
// the thin u_i = dropout_i(x) A_iᵀ; never the scaled delta. Backward: dx = dy W + Σ s_i (dy B_i) A_i through
// the mask, dA_i = Σ (s_i dy B_i)ᵀ dropout_i(x), dB_i = Σ s_i dyᵀ u_i, dW = dyᵀ x and db = Σ dy only where
// trainable.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/autograd/tape.h"

namespace ft {

struct LowRankTerm {
  Parameter* a = nullptr;    // [r, in], plain
  Parameter* b_t = nullptr;  // [r, out], plain: B transposed
  double scale = 1;
  float dropout = 0;
  uint64_t dropout_key = 0;
  uint32_t dropout_site = 0;
  int64_t begin = 0, end = -1;  // the rows that it acts on, in a pass without backward; −1: all
};

struct LinearWeights {
  Parameter* weight = nullptr;  // [out, in], packed
  Parameter* bias = nullptr;    // [out] or null
  std::vector<LowRankTerm> low_rank;

  int64_t in() const { return weight->shape[1]; }
  int64_t out() const { return weight->shape[0]; }
  bool trainable() const;
};

/// x [tokens, in] → [tokens, out].
Var linear(Tape&, const Var& x, LinearWeights w);

// The two halves, for ops that call them on chunks of rows (engine/ops/head.h).

/// y = the map of x's rows; `u` receives the thin products when it is given.
Tensor linear_forward(Tape&, const Tensor& x, const LinearWeights& w, const RowIndex& rows,
                      std::vector<Tensor>* u);
/// Adds what flows back from dy to the trainable parameters and, where `dx` is given, to the input's
/// gradient.
void linear_backward(Tape&, const LinearWeights& w, const RowIndex& rows, const Tensor& x,
                     const std::vector<Tensor>& u, const Tensor& dy, const Gradient::Slot* dx);

}  // namespace ft
