// Rows copied by index: what gathers the rows that have a target, scatters their gradient back, and puts new
// keys and values into a cache.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/autograd/fwd.h"
#include "engine/core/backend_streams.h"
#include "engine/core/index_view.h"

namespace ft {

template <class T>
struct CopyRowsArgs {
  int64_t count = 0, cols = 0;  // rows to copy, elements of each
  const T* x = nullptr;         // row stride ldx
  int64_t ldx = 0;
  T* y = nullptr;  // row stride ldy; the rows of `to` are distinct
  int64_t ldy = 0;
  IndexView from, to;  // [count] each, or null for 0, 1, 2, …: y[to[i]] = x[from[i]]
};

void copy_rows(CpuStream&, const CopyRowsArgs<float>&);
void copy_rows(CpuStream&, const CopyRowsArgs<double>&);
void copy_rows(CudaStream&, const CopyRowsArgs<float>&);
void copy_rows(CudaStream&, const CopyRowsArgs<BF16>&);
void copy_rows(CudaStream&, const CopyRowsArgs<F16>&);

// ---- differentiable

/// The pass's rows from those that have an id, x [ids, C] in order, and `lead` [P, C], which begins every
/// sample with leading rows (Layout::leading is 0 or P). x may be undefined where no sample has an id.
Var prepend_rows(Tape&, const Var& x, const Var& lead);

/// A permutation, and where the kernels of a tape read it.
struct PieceOrder {
  std::shared_ptr<const std::vector<int32_t>> to;
  IndexView view;  // Tape::upload(*to)
};

/// The rows of x [tokens, C] cut into pieces of `size` columns, put into another order: piece i of all of
/// them goes to piece `to[i]`.
Var move_pieces(Tape&, const Var& x, int64_t size, const PieceOrder& order);

}  // namespace ft
