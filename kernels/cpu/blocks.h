// How the kernels cut their work: blocks of a fixed size, so that the cut follows from the shape alone and a
// result's bits do not depend on the number of threads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/core/backend_streams.h"

namespace ft {

/// Elements a task of a pointwise kernel: some 10 µs of memory traffic, well above the cost of waking a
/// thread, and small enough that a few hundred thousand elements still feed a dozen threads.
constexpr int64_t kTaskElements = int64_t{1} << 14;

/// Columns a task of a sum over rows: four cache lines of floats, the accumulators of one pass in L1.
constexpr int64_t kTaskColumns = 64;

/// Rows a task, for rows that cost about as much as `cols` elements of a pointwise kernel.
constexpr int64_t rows_per_task(int64_t cols, int64_t elements = kTaskElements) {
  return std::max<int64_t>(1, elements / std::max<int64_t>(1, cols));
}

/// Calls f(begin, end) for the blocks [0, block), [block, 2 block), … of [0, count).
template <class F>
void parallel_blocks(CpuStream& stream, int64_t count, int64_t block, F&& f) {
  stream.parallel((count + block - 1) / block, [&](int64_t task) {
    const int64_t begin = task * block;
    f(begin, std::min(begin + block, count));
  });
}

}  // namespace ft
