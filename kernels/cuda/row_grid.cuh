// The grid of kernels that go over the rows of a matrix: a warp has a row, a block kRowsPerBlock of them, and
// the grid's second dimension cuts long rows into slices of kGroupsPerSlice groups (of neighbouring elements,
// see pack.cuh).
#pragma once

#include "kernels/cuda/launch.h"
#include "kernels/cuda/reduce.cuh"

namespace ft {

constexpr int kRowsPerBlock = 8;
constexpr int kGroupsPerSlice = 4 * kWarp;

struct RowGrid {
  RowGrid(int64_t rows, int64_t groups)
      : blocks(static_cast<unsigned>(blocks_for(rows, kRowsPerBlock)),
               static_cast<unsigned>(blocks_for(groups, kGroupsPerSlice))),
        threads(kWarp, kRowsPerBlock) {}
  dim3 blocks, threads;
};

/// The row of this thread's warp (it may lie beyond the last).
__device__ __forceinline__ int64_t row_of_warp() {
  return int64_t{blockIdx.x} * kRowsPerBlock + threadIdx.y;
}

/// f(group) for this thread's groups of its row, which has `groups` of them.
template <class F>
__device__ __forceinline__ void for_each_group(int64_t groups, F&& f) {
  const int64_t first = int64_t{blockIdx.y} * kGroupsPerSlice + threadIdx.x;
#pragma unroll
  for (int i = 0; i < kGroupsPerSlice; i += kWarp)
    if (first + i < groups) f(first + i);
}

}  // namespace ft
