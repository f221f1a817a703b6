// Two of LoRA's three thin products: y += s·u A, and dA += Σ over samples of s·uᵀ x. (u = s·x Aᵀ is
// low_rank_down.cu.) Either with dropout on request: of y's change, of x.
//
// Both move the wide matrix once and are limited by that: x is read, y read and written, 16 bytes a thread,
// while the thin ones (A, u: a few hundred kilobytes at most) stay in L1, L2 and shared memory. A thread
// keeps a small block of results in registers, so that each value read is used eight times.
//   up    a block has 8 tokens (4 with a mask) and 128 groups of columns; every thread sums over the ranks by
//   itself grad  two passes. First the tokens of each sample in chunks of 128, counted from the sample's
//   start: one
//         partial dA a chunk, in scratch. Then every element of dA adds its chunks up, sample by sample.
// Invariants: every sum has a fixed order that follows from its sample alone: not from T, other tokens,
// addresses or the order of blocks. So a row's bits are the same alone and among others, and a gradient's
// bits do not depend on how samples are grouped into calls. Arithmetic in float32, each result rounded once.
#include "engine/ops/low_rank.h"

#include <algorithm>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/low_rank_mask.cuh"
#include "kernels/cuda/pack.cuh"
#include "kernels/cuda/scratch_limit.h"

namespace ft {
namespace {

constexpr int kThreads = 128;
constexpr int kRanks = 8;  // of a thread's block of results in grad
template <bool kMasked>
constexpr int kUpTokens = kMasked ? 4 : 8;  // the same in up: random words take registers too
constexpr int kUpRanks = 64;                // of u in shared memory at a time
constexpr int kChunkTokens = 128;           // of one partial gradient

/// sum[t][k] += Σ over ranks of us[q][t] w[q, k], the group's columns k.
template <bool kVector, int kTokens, int kN>
__device__ __forceinline__ void up_sums(const float (*us)[kTokens], int ranks, const float* w, int64_t cols,
                                        int64_t left, float (&sum)[kTokens][kN]) {
#pragma unroll 4
  for (int q = 0; q < ranks; ++q) {
    float wq[kN], uq[kTokens];
    load_values(w + q * cols, kVector ? kN : left, kVector, wq);
    load_values(us[q], kTokens, true, uq);
#pragma unroll
    for (int t = 0; t < kTokens; ++t) {
#pragma unroll
      for (int k = 0; k < kN; ++k) sum[t][k] = fmaf(uq[t], wq[k], sum[t][k]);
    }
  }
}

/// y[t, c…] (+)= scale·Σ over ranks, for a group of columns of up to kTokens tokens.
template <class T, bool kMasked>
__global__ void __launch_bounds__(kThreads)
    low_rank_up_kernel(int64_t tokens, int64_t rank, int64_t cols, const T* __restrict__ u,
                       const float* __restrict__ w, float scale, T* __restrict__ y, int64_t ldy,
                       bool accumulate, bool aligned_w, bool aligned_y, MaskRule mask) {
  constexpr int kN = kGroup<T>, kTokens = kUpTokens<kMasked>;
  const int64_t t0 = int64_t{blockIdx.x} * kTokens;
  const int64_t c = (int64_t{blockIdx.y} * kThreads + threadIdx.x) * kN, left = cols - c;
  __shared__ __align__(16) float us[kUpRanks][kTokens];
  float sum[kTokens][kN] = {};
  for (int64_t q0 = 0; q0 < rank; q0 += kUpRanks) {
    const int ranks = static_cast<int>(min(rank - q0, int64_t{kUpRanks}));
    if (q0 > 0) __syncthreads();
    for (int i = threadIdx.x; i < ranks * kTokens; i += kThreads) {
      const int64_t t = t0 + i % kTokens;
      us[i / kTokens][i % kTokens] = t < tokens ? value(u[t * rank + q0 + i / kTokens]) : 0.0f;
    }
    __syncthreads();
    if (left <= 0) continue;
    const float* from = w + q0 * cols + c;
    if (aligned_w && left >= kN)
      up_sums<true>(us, ranks, from, cols, left, sum);
    else
      up_sums<false>(us, ranks, from, cols, left, sum);
  }
  if (left <= 0) return;
#pragma unroll
  for (int t = 0; t < kTokens; ++t) {
    if (t0 + t >= tokens) break;
    if constexpr (kMasked) mask.zero_dropped(t0 + t, c, sum[t]);
    T* row = y + (t0 + t) * ldy + c;
    float out[kN] = {};
    if (accumulate) load_values(row, left, aligned_y, out);
#pragma unroll
    for (int k = 0; k < kN; ++k) out[k] = fmaf(scale, sum[t][k], out[k]);
    store_values(row, left, aligned_y, out);
  }
}

/// Partial gradients lie in slots. Chunk j of sample s has slot bounds[s] / kChunkTokens + s + j: distinct,
/// in order, at most tokens / kChunkTokens + count of them, and found without a table.
__host__ __device__ __forceinline__ int64_t first_slot(int64_t bound, int64_t sample) {
  return bound / kChunkTokens + sample;
}

/// sum[q][k] += Σ over tokens of us[t][q] x[t, k], the group's columns k. drop(t, group) zeroes what is
/// dropped.
template <bool kVector, class T, int kN, class Drop>
__device__ __forceinline__ void grad_sums(const float (*us)[kRanks], int tokens, const T* x, int64_t ldx,
                                          int64_t left, float (&sum)[kRanks][kN], const Drop& drop) {
#pragma unroll 4
  for (int t = 0; t < tokens; ++t) {
    float xt[kN], ut[kRanks];
    load_values(x + t * ldx, kVector ? kN : left, kVector, xt);
    drop(t, xt);
    load_values(us[t], kRanks, true, ut);
#pragma unroll
    for (int q = 0; q < kRanks; ++q) {
#pragma unroll
      for (int k = 0; k < kN; ++k) sum[q][k] = fmaf(ut[q], xt[k], sum[q][k]);
    }
  }
}

/// partial[slot][q][c] = Σ over the slot's tokens of u[t, q] x[t, c].
/// x starts at column `column` of the rows whose elements the mask counts.
template <class T, bool kMasked>
__global__ void __launch_bounds__(kThreads)
    low_rank_grad_kernel(const int32_t* __restrict__ bounds, int32_t count, int64_t rank, int64_t cols,
                         const T* __restrict__ u, const T* __restrict__ x, int64_t ldx, int64_t column,
                         float* __restrict__ partial, int64_t ldp, bool aligned, MaskRule mask) {
  constexpr int kN = kGroup<T>;
  const int64_t slot = blockIdx.x;
  int low = 0, high = count;  // the last sample whose first slot is not behind this one
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (first_slot(bounds[middle], middle) <= slot ? low : high) = middle;
  }
  const int64_t begin = bounds[low] + (slot - first_slot(bounds[low], low)) * kChunkTokens;
  const int tokens = static_cast<int>(min(bounds[low + 1] - begin, int64_t{kChunkTokens}));
  if (tokens <= 0) return;  // between two samples

  const int64_t q0 = int64_t{blockIdx.z} * kRanks;
  __shared__ __align__(16) float us[kChunkTokens][kRanks];
  for (int i = threadIdx.x; i < tokens * kRanks; i += kThreads) {
    const int64_t q = q0 + i % kRanks;
    us[i / kRanks][i % kRanks] = q < rank ? value(u[(begin + i / kRanks) * rank + q]) : 0.0f;
  }
  __syncthreads();
  const int64_t c = (int64_t{blockIdx.y} * kThreads + threadIdx.x) * kN;
  if (c >= cols) return;
  float sum[kRanks][kN] = {};
  const T* from = x + begin * ldx + c;
  const auto drop = [&](int t, float(&v)[kN]) {
    if constexpr (kMasked) mask.zero_dropped(begin + t, column + c, v);
  };
  if (aligned && c + kN <= cols)
    grad_sums<true>(us, tokens, from, ldx, cols - c, sum, drop);
  else
    grad_sums<false>(us, tokens, from, ldx, cols - c, sum, drop);
#pragma unroll
  for (int q = 0; q < kRanks; ++q) {
    // Rows of partials are padded to whole groups.
    if (q0 + q < rank) store_values(partial + (slot * rank + q0 + q) * ldp + c, kN, true, sum[q]);
  }
}

/// dw[q][c] += scale·(its chunks' sum), sample by sample.
__global__ void __launch_bounds__(kThreads)
    low_rank_grad_sum_kernel(const int32_t* __restrict__ bounds, int32_t count, int64_t rank, int64_t cols,
                             const float* __restrict__ partial, int64_t ldp, float scale,
                             float* __restrict__ dw, int64_t ldw) {
  const int64_t c = int64_t{blockIdx.x} * kThreads + threadIdx.x, q = blockIdx.y;
  if (c >= cols) return;
  float* out = dw + q * ldw + c;
  float total = *out;
  for (int32_t s = 0; s < count; ++s) {
    const int32_t begin = bounds[s], tokens = bounds[s + 1] - begin;
    if (tokens == 0) continue;
    const int chunks = (tokens + kChunkTokens - 1) / kChunkTokens;
    const float* p = partial + (first_slot(begin, s) * rank + q) * ldp + c;
    float sum = p[0];
    for (int j = 1; j < chunks; ++j) sum += p[j * rank * ldp];
    total = fmaf(scale, sum, total);
  }
  *out = total;
}

void check_sizes(const char* op, int64_t rank, int64_t cols, int64_t ld) {
  FT_CHECK(
      rank > 0 && cols > 0 && ld >= cols,
      "[{}] expected rank and columns above 0 and a row stride of at least the columns, got {}, {} and {}",
      op, rank, cols, ld);
}

template <class T, bool kMasked>
void up(CudaStream& s, const LowRankUpArgs<T>& a, const DropoutMask& dropout) {
  check_sizes("low_rank_up", a.rank, a.cols, a.ldy);
  if (a.tokens == 0) return;
  const dim3 grid(static_cast<unsigned>(blocks_for(a.tokens, kUpTokens<kMasked>)),
                  static_cast<unsigned>(blocks_for(a.cols, kThreads * kGroup<T>)));
  const MaskRule mask(dropout);
  const float scale = kMasked ? a.scale * mask.factor() : a.scale;
  low_rank_up_kernel<T, kMasked>
      <<<grid, kThreads, 0, s.handle()>>>(a.tokens, a.rank, a.cols, a.u, a.w, scale, a.y, a.ldy, a.accumulate,
                                          aligned_rows(a.w, a.cols), aligned_rows(a.y, a.ldy), mask);
  check_launch("low_rank_up");
}

template <class T, bool kMasked>
void grad(CudaStream& s, const LowRankGradArgs<T>& a, const DropoutMask& dropout) {
  check_sizes("low_rank_grad", a.rank, a.cols, a.ldx);
  const int64_t tokens = a.segments.tokens();
  if (tokens == 0) return;
  const int32_t* bounds = a.segments.bounds.device;
  const MaskRule mask(dropout);
  const float scale = kMasked ? a.scale * mask.factor() : a.scale;
  const int64_t slots = first_slot(tokens, a.segments.count);
  // Columns in slices where all partials at once would take too much scratch; a slice starts at a whole
  // group.
  constexpr int64_t kStep = 128;
  const int64_t fit = scratch_limit() / (slots * a.rank * static_cast<int64_t>(sizeof(float)));
  const int64_t each = std::max(fit / kStep * kStep, kStep);
  for (int64_t c = 0; c < a.cols; c += each) {
    const int64_t cols = std::min(each, a.cols - c), ldp = blocks_for(cols, 8) * 8;
    float* partial = s.scratch<float>(slots * a.rank * ldp);
    const dim3 grid(static_cast<unsigned>(slots),
                    static_cast<unsigned>(blocks_for(cols, kThreads * kGroup<T>)),
                    static_cast<unsigned>(blocks_for(a.rank, kRanks)));
    low_rank_grad_kernel<T, kMasked><<<grid, kThreads, 0, s.handle()>>>(bounds, a.segments.count, a.rank,
                                                                        cols, a.u, a.x + c, a.ldx, c, partial,
                                                                        ldp, aligned_rows(a.x, a.ldx), mask);
    check_launch("low_rank_grad");
    const dim3 sums(static_cast<unsigned>(blocks_for(cols, kThreads)), static_cast<unsigned>(a.rank));
    low_rank_grad_sum_kernel<<<sums, kThreads, 0, s.handle()>>>(bounds, a.segments.count, a.rank, cols,
                                                                partial, ldp, scale, a.dw + c, a.cols);
    check_launch("low_rank_grad, sum");
  }
}

}  // namespace

void low_rank_up(CudaStream& s, const LowRankUpArgs<float>& a) {
  up<float, false>(s, a, {});
}
void low_rank_up(CudaStream& s, const LowRankUpArgs<BF16>& a) {
  up<BF16, false>(s, a, {});
}
void low_rank_up(CudaStream& s, const LowRankUpArgs<float>& a, const DropoutMask& m) {
  m.p > 0 ? up<float, true>(s, a, m) : up<float, false>(s, a, m);
}
void low_rank_up(CudaStream& s, const LowRankUpArgs<BF16>& a, const DropoutMask& m) {
  m.p > 0 ? up<BF16, true>(s, a, m) : up<BF16, false>(s, a, m);
}
void low_rank_up(CudaStream& s, const LowRankUpArgs<F16>& a) {
  up<F16, false>(s, a, {});
}
void low_rank_up(CudaStream& s, const LowRankUpArgs<F16>& a, const DropoutMask& m) {
  m.p > 0 ? up<F16, true>(s, a, m) : up<F16, false>(s, a, m);
}
void low_rank_grad(CudaStream& s, const LowRankGradArgs<float>& a) {
  grad<float, false>(s, a, {});
}
void low_rank_grad(CudaStream& s, const LowRankGradArgs<BF16>& a) {
  grad<BF16, false>(s, a, {});
}
void low_rank_grad(CudaStream& s, const LowRankGradArgs<float>& a, const DropoutMask& m) {
  m.p > 0 ? grad<float, true>(s, a, m) : grad<float, false>(s, a, m);
}
void low_rank_grad(CudaStream& s, const LowRankGradArgs<BF16>& a, const DropoutMask& m) {
  m.p > 0 ? grad<BF16, true>(s, a, m) : grad<BF16, false>(s, a, m);
}
void low_rank_grad(CudaStream& s, const LowRankGradArgs<F16>& a) {
  grad<F16, false>(s, a, {});
}
void low_rank_grad(CudaStream& s, const LowRankGradArgs<F16>& a, const DropoutMask& m) {
  m.p > 0 ? grad<F16, true>(s, a, m) : grad<F16, false>(s, a, m);
}

}  // namespace ft
