// Neighbouring elements of a row, read and written in 16-byte accesses where they may be.
//
// The kernels cut a row into groups of kGroup<T> elements, one thread a group, whatever its address:
// `aligned` (aligned_rows(), found on the host) only says how the group is accessed. So bits never depend on
// addresses.
#pragma once

#include <cstdint>

#include "kernels/cuda/value.cuh"

namespace ft {

/// Elements that 16 bytes hold.
template <class T>
constexpr int kGroup = 16 / static_cast<int>(sizeof(T));

/// N neighbours as they lie in memory.
template <class S, int N>
struct alignas(N * sizeof(S) < 16 ? N * sizeof(S) : 16) Group {
  S v[N];
};

/// May rows that start at p, `stride` elements apart, be accessed by groups of 16 bytes?
template <class T>
bool aligned_rows(const T* p, int64_t stride = 0) {
  return reinterpret_cast<uintptr_t>(p) % 16 == 0 && stride * static_cast<int64_t>(sizeof(T)) % 16 == 0;
}

/// v = the first min(left, N) elements at p, then `none`.
template <int N, class S>
__device__ __forceinline__ void load_values(const S* p, int64_t left, bool aligned, float (&v)[N],
                                            float none = 0) {
  if (aligned && left >= N) {
    const auto group = *reinterpret_cast<const Group<S, N>*>(p);
#pragma unroll
    for (int k = 0; k < N; ++k) v[k] = value(group.v[k]);
  } else {
#pragma unroll
    for (int k = 0; k < N; ++k) v[k] = k < left ? value(p[k]) : none;
  }
}

/// Writes the first min(left, N) of v, rounded, to p.
template <int N, class S>
__device__ __forceinline__ void store_values(S* p, int64_t left, bool aligned, const float (&v)[N]) {
  if (aligned && left >= N) {
    Group<S, N> group;
#pragma unroll
    for (int k = 0; k < N; ++k) group.v[k] = rounded<S>(v[k]);
    *reinterpret_cast<Group<S, N>*>(p) = group;
  } else {
#pragma unroll
    for (int k = 0; k < N; ++k)
      if (k < left) p[k] = rounded<S>(v[k]);
  }
}

}  // namespace ft
