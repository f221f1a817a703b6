// A linear map with low-rank terms beside it, one op on every backend (Hu et al. 2021, eq. 3, with dropout):
//   y [T, N] = x Wᵀ + b + Σ_i s_i · u_i B_iᵀ,          u_i [T, r_i] = drop_i(x) A_iᵀ
// and its backward, with du_i = s_i · dy B_i:
//   dx (+)= dy W + Σ_i drop_i(du_i A_i),   dA_i += Σ over samples du_iᵀ drop_i(x),   dBt_i += Σ s_i · u_iᵀ dy
// drop_i keeps what elementwise.h's dropout keeps. Only the thin u is saved; the delta s·BA never exists, and
// on CUDA no dropped copy of x or dx either: masks are made where x is read and dx is written. Invariants of
// rows and of sums over samples as in matmul.h and low_rank.h. All matrices are without gaps.
#pragma once

#include <cstdint>
#include <span>

#include "engine/core/backend_streams.h"
#include "engine/core/segments.h"
#include "engine/ops/matmul.h"

namespace ft {

template <class T>
struct LowRankTermArgs {
  int64_t rank = 0;
  const Wide<T>*a = nullptr, *b_t = nullptr;  // [r, K], [r, N]
  Wide<T> scale = 1;
  float dropout = 0;
  uint64_t dropout_key = 0;
  uint32_t dropout_site = 0;
  T* u = nullptr;   // [T, r], or [end − begin, r]: written forward, read backward (for dBt)
  T* du = nullptr;  // [T, r]: room that backward works in
  Wide<T>*da = nullptr, *db_t = nullptr;  // added to; null where not trained
  int64_t begin = 0, end = -1;  // forward without dropout: the rows of x and y that it acts on; −1: all
};

template <class T>
struct LowRankLinearArgs {
  int64_t tokens = 0;
  PackedView w;                   // [N, K]
  const T* x = nullptr;           // [T, K]
  const Wide<T>* bias = nullptr;  // [N] or null
  T* y = nullptr;                 // [T, N], overwritten
  IndexView row, position;        // [T], what names dropout; unused without
  std::span<const LowRankTermArgs<T>> terms;
};

template <class T>
struct LowRankLinearGradArgs {
  Segments segments;
  PackedView w;
  const T *x = nullptr, *dy = nullptr;  // [T, K] (read where an A is trained), [T, N]
  T* dx = nullptr;                      // [T, K], or null where not wanted
  bool accumulate = false;              // into dx
  IndexView row, position;
  std::span<const LowRankTermArgs<T>> terms;
};

void low_rank_linear(CpuStream&, const LowRankLinearArgs<float>&);
void low_rank_linear(CpuStream&, const LowRankLinearArgs<double>&);
void low_rank_linear(CudaStream&, const LowRankLinearArgs<float>&);
void low_rank_linear(CudaStream&, const LowRankLinearArgs<BF16>&);
void low_rank_linear(CudaStream&, const LowRankLinearArgs<F16>&);
void low_rank_linear_grad(CpuStream&, const LowRankLinearGradArgs<float>&);
void low_rank_linear_grad(CpuStream&, const LowRankLinearGradArgs<double>&);
void low_rank_linear_grad(CudaStream&, const LowRankLinearGradArgs<float>&);
void low_rank_linear_grad(CudaStream&, const LowRankLinearGradArgs<BF16>&);
void low_rank_linear_grad(CudaStream&, const LowRankLinearGradArgs<F16>&);

}  // namespace ft
