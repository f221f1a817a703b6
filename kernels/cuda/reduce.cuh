// Reductions over the threads of a warp and of a block, in an order that follows from thread numbers alone:
// the same bits on every run. Every thread gets the result.
//
// A warp exchanges in five steps (both partners of a step form the same sum, since a + b = b + a in floating
// point too); a block lets each warp write its result to shared memory and every thread combine them from
// warp 0 up. All threads of the block must call; two barriers.
#pragma once

#include <cstdint>

namespace ft {

constexpr int kWarp = 32;

struct Plus {
  template <class V>
  __device__ __forceinline__ V operator()(V a, V b) const {
    return a + b;
  }
};
/// The larger one; a number wins against NaN.
struct Larger {
  __device__ __forceinline__ float operator()(float a, float b) const { return fmaxf(a, b); }
};

template <class V, class Combine>
__device__ __forceinline__ V warp_reduce(V v, Combine combine) {
#pragma unroll
  for (int distance = kWarp / 2; distance > 0; distance /= 2)
    v = combine(v, __shfl_xor_sync(0xffffffffu, v, distance));
  return v;
}

/// Over the kThreads (a multiple of 32) threads of a one-dimensional block.
template <int kThreads, class V, class Combine>
__device__ __forceinline__ V block_reduce(V v, Combine combine) {
  static_assert(kThreads % kWarp == 0);
  v = warp_reduce(v, combine);
  if constexpr (kThreads > kWarp) {
    __shared__ V of_warp[kThreads / kWarp];
    if (threadIdx.x % kWarp == 0) of_warp[threadIdx.x / kWarp] = v;
    __syncthreads();
    v = of_warp[0];
#pragma unroll
    for (int w = 1; w < kThreads / kWarp; ++w) v = combine(v, of_warp[w]);
    __syncthreads();  // of_warp may be written again
  }
  return v;
}

template <class V>
__device__ __forceinline__ V warp_sum(V v) {
  return warp_reduce(v, Plus());
}
template <int kThreads, class V>
__device__ __forceinline__ V block_sum(V v) {
  return block_reduce<kThreads>(v, Plus());
}

}  // namespace ft
