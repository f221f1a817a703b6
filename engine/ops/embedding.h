// Rows of a packed table (layout of matmul.h, so a tied head and embedding are one copy) and their scatter
// gradient, which is added token by token in order.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/autograd/fwd.h"
#include "engine/core/backend_streams.h"
#include "engine/ops/matmul.h"

namespace ft {

template <class T>
struct EmbeddingArgs {
  int64_t tokens = 0;
  PackedView table;  // [V, C]
  IndexView ids;     // [tokens], each in [0, V)
  Wide<T> scale = 1;
  T* y = nullptr;           // [tokens, C]
  bool accumulate = false;  // y += (learned positions)
};

template <class T>
struct EmbeddingGradArgs {
  int64_t tokens = 0, rows = 0, cols = 0;  // V, C
  IndexView ids;
  const T* dy = nullptr;  // [tokens, C]
  Wide<T> scale = 1;
  Wide<T>* dtable = nullptr;  // layout of the table, added to
};

void embedding(CpuStream&, const EmbeddingArgs<float>&);
void embedding(CpuStream&, const EmbeddingArgs<double>&);
void embedding(CudaStream&, const EmbeddingArgs<float>&);
void embedding(CudaStream&, const EmbeddingArgs<BF16>&);
void embedding(CudaStream&, const EmbeddingArgs<F16>&);
void embedding_grad(CpuStream&, const EmbeddingGradArgs<float>&);
void embedding_grad(CpuStream&, const EmbeddingGradArgs<double>&);
void embedding_grad(CudaStream&, const EmbeddingGradArgs<float>&);
void embedding_grad(CudaStream&, const EmbeddingGradArgs<BF16>&);
void embedding_grad(CudaStream&, const EmbeddingGradArgs<F16>&);

// ---- differentiable

/// scale · table[ids] → [tokens, C].
Var embedding(Tape&, Parameter& table, std::shared_ptr<const std::vector<int32_t>> ids, double scale = 1);
/// x + table[ids] (learned positions).
Var add_embedding(Tape&, const Var& x, Parameter& table, std::shared_ptr<const std::vector<int32_t>> ids);

}  // namespace ft
