// The first of LoRA's thin products: u = s·x Aᵀ, tall and thin (T × C by C × r), with dropout of x on request
// (its random words are made again for every 8 ranks).
//
// It reads x [T, C] once (from DRAM; again from L2 for every 8 ranks) and is limited by that; A stays in L2.
// A block has 8 tokens and 8 ranks. Its threads share out the columns, 16 bytes of a row at a time, and keep
// the 64 sums in registers, so that each value read is used eight times; then lanes and warps add up.
// Invariants: a sum's order follows from C alone: not from T, r, other tokens, addresses or the order of
// blocks. So a row's bits are the same alone and among others. Arithmetic in float32, each result rounded
// once.
#include "engine/ops/low_rank.h"

#include "kernels/cuda/launch.h"
#include "kernels/cuda/low_rank_mask.cuh"
#include "kernels/cuda/pack.cuh"
#include "kernels/cuda/reduce.cuh"

namespace ft {
namespace {

constexpr int kThreads = 128, kWarps = kThreads / kWarp;
constexpr int kRanks = 8;

/// Sums every v[i] over the 32 lanes; lane l is left with the total of v[l * kCount / 32]. Each step adds
/// pairs of lanes 16, 8, 4, 2, 1 apart and halves what a lane still has to carry, so 32 sums take 31
/// exchanges instead of 160. The order of the additions is that of a plain exchange, whatever kCount.
template <int kCount, int kDistance = kWarp / 2>
__device__ __forceinline__ float sums_over_lanes(const float (&v)[kCount], int lane) {
  if constexpr (kDistance == 0) {
    static_assert(kCount == 1);
    return v[0];
  } else if constexpr (kCount == 1) {
    const float sum[1] = {v[0] + __shfl_xor_sync(0xffffffffu, v[0], kDistance)};
    return sums_over_lanes<1, kDistance / 2>(sum, lane);
  } else {
    constexpr int kHalf = kCount / 2;
    const bool upper = (lane & kDistance) != 0;
    float sum[kHalf];
#pragma unroll
    for (int i = 0; i < kHalf; ++i) {
      const float kept = upper ? v[i + kHalf] : v[i], given = upper ? v[i] : v[i + kHalf];
      sum[i] = kept + __shfl_xor_sync(0xffffffffu, given, kDistance);
    }
    return sums_over_lanes<kHalf, kDistance / 2>(sum, lane);
  }
}

/// sum[t][q] += Σ over a group of columns of x[t] w[q]: whole groups as vectors, the last one by elements.
/// drop(t, group) zeroes what is dropped.
template <bool kVector, int kTokens, class T, class Drop>
__device__ __forceinline__ void down_step(const T* x, int64_t ldx, int64_t tokens, const float* w,
                                          int64_t cols, int64_t ranks, int64_t left,
                                          float (&sum)[kTokens][kRanks], const Drop& drop) {
  constexpr int kN = kGroup<T>;
  if (kVector) left = kN;
  Group<T, kN> raw[kTokens];  // as in memory: half the registers for bfloat16
  if constexpr (kVector) {
#pragma unroll
    for (int t = 0; t < kTokens;
         ++t)  // rows beyond the end read the last one again; nobody asks for their sums
      raw[t] = *reinterpret_cast<const Group<T, kN>*>(x + min(int64_t{t}, tokens - 1) * ldx);
  } else {
#pragma unroll
    for (int t = 0; t < kTokens; ++t) {
      const T* row = x + min(int64_t{t}, tokens - 1) * ldx;
#pragma unroll
      for (int k = 0; k < kN; ++k) raw[t].v[k] = k < left ? row[k] : T{};
    }
  }
#pragma unroll
  for (int t = 0; t < kTokens; ++t) drop(min(int64_t{t}, tokens - 1), raw[t].v);
#pragma unroll
  for (int q = 0; q < kRanks; ++q) {
    if (q < ranks) {
      float wq[kN];
      load_values(w + q * cols, left, kVector, wq);
#pragma unroll
      for (int t = 0; t < kTokens; ++t) {
#pragma unroll
        for (int k = 0; k < kN; ++k) sum[t][q] = fmaf(value(raw[t].v[k]), wq[k], sum[t][q]);
      }
    }
  }
}

template <class T, int kTokens, bool kMasked>
__global__ void __launch_bounds__(kThreads)
    low_rank_down_kernel(int64_t tokens, int64_t rank, int64_t cols, const T* __restrict__ x, int64_t ldx,
                         const float* __restrict__ w, float scale, T* __restrict__ u, bool aligned,
                         MaskRule mask) {
  constexpr int kN = kGroup<T>, kSums = kTokens * kRanks, kLaneSums = kSums < kWarp ? kSums : kWarp;
  const int64_t t0 = int64_t{blockIdx.x} * kTokens, q0 = int64_t{blockIdx.y} * kRanks;
  x += t0 * ldx;
  w += q0 * cols;
  float sum[kTokens][kRanks] = {};
  for (int64_t c = threadIdx.x * kN; c < cols; c += kThreads * kN) {
    const auto drop = [&](int64_t t, T(&v)[kN]) {
      if constexpr (kMasked) mask.zero_dropped(t0 + t, c, v);
    };
    if (aligned && c + kN <= cols)
      down_step<true>(x + c, ldx, tokens - t0, w + c, cols, rank - q0, cols - c, sum, drop);
    else
      down_step<false>(x + c, ldx, tokens - t0, w + c, cols, rank - q0, cols - c, sum, drop);
  }

  __shared__ float of_warp[kWarps][kSums];
  const int lane = threadIdx.x % kWarp;
#pragma unroll
  for (int begin = 0; begin < kSums; begin += kLaneSums) {
    float part[kLaneSums];
#pragma unroll
    for (int i = 0; i < kLaneSums; ++i) part[i] = sum[(begin + i) / kRanks][(begin + i) % kRanks];
    const float total = sums_over_lanes(part, lane);
    constexpr int kLanesEach = kWarp / kLaneSums;
    if (lane % kLanesEach == 0) of_warp[threadIdx.x / kWarp][begin + lane / kLanesEach] = total;
  }
  __syncthreads();
  if (threadIdx.x < kSums) {
    const int64_t t = t0 + threadIdx.x / kRanks, q = q0 + threadIdx.x % kRanks;
    float total = of_warp[0][threadIdx.x];
#pragma unroll
    for (int i = 1; i < kWarps; ++i) total += of_warp[i][threadIdx.x];
    if (t < tokens && q < rank) u[t * rank + q] = rounded<T>(scale * total);
  }
}

template <class T, int kTokens, bool kMasked>
void launch_down(CudaStream& s, const LowRankDownArgs<T>& a, const MaskRule& mask) {
  const dim3 grid(static_cast<unsigned>(blocks_for(a.tokens, kTokens)),
                  static_cast<unsigned>(blocks_for(a.rank, kRanks)));
  const bool aligned = aligned_rows(a.x, a.ldx) && aligned_rows(a.w, a.cols);
  const float scale = kMasked ? a.scale * mask.factor() : a.scale;
  low_rank_down_kernel<T, kTokens, kMasked><<<grid, kThreads, 0, s.handle()>>>(
      a.tokens, a.rank, a.cols, a.x, a.ldx, a.w, scale, a.u, aligned, mask);
  check_launch("low_rank_down");
}

template <class T>
void down(CudaStream& s, const LowRankDownArgs<T>& a, const DropoutMask& dropout) {
  FT_CHECK(a.rank > 0 && a.cols > 0 && a.ldx >= a.cols,
           "[low_rank_down] expected rank and columns above 0 and a row stride of at least the columns, got "
           "{}, {} and {}",
           a.rank, a.cols, a.ldx);
  if (a.tokens == 0) return;
  const MaskRule mask(dropout);
  // A few tokens (generation): a block each. The order of the sums is the same.
  if (dropout.p > 0)
    launch_down<T, 8, true>(s, a, mask);
  else if (a.tokens <= 4)
    launch_down<T, 1, false>(s, a, mask);
  else
    launch_down<T, 8, false>(s, a, mask);
}

}  // namespace

void low_rank_down(CudaStream& s, const LowRankDownArgs<float>& a) {
  down(s, a, {});
}
void low_rank_down(CudaStream& s, const LowRankDownArgs<BF16>& a) {
  down(s, a, {});
}
void low_rank_down(CudaStream& s, const LowRankDownArgs<F16>& a) {
  down(s, a, {});
}
void low_rank_down(CudaStream& s, const LowRankDownArgs<float>& a, const DropoutMask& m) {
  down(s, a, m);
}
void low_rank_down(CudaStream& s, const LowRankDownArgs<BF16>& a, const DropoutMask& m) {
  down(s, a, m);
}
void low_rank_down(CudaStream& s, const LowRankDownArgs<F16>& a, const DropoutMask& m) {
  down(s, a, m);
}
}  // namespace ft
