// Sums and scalings of whole buffers, column sums (bias gradients) and dropout.
// Dropout keeps an element with probability 1 − p and scales it by 1/(1 − p); whether it is kept is a
// function of (key, site, sample's row, position, feature) alone: see engine/core/rng.h, dropout_bits.
#pragma once

#include <cstdint>

#include "engine/autograd/fwd.h"
#include "engine/core/backend_streams.h"
#include "engine/core/segments.h"

namespace ft {

template <class T>
struct AddArgs {
  int64_t count = 0;
  const T *a = nullptr, *b = nullptr;
  T* y = nullptr;  // a + b; may alias either
};

template <class T>
struct ScaleArgs {
  int64_t count = 0;
  Wide<T> scale = 1;
  const T* x = nullptr;
  T* y = nullptr;  // scale · x; may alias x
};

template <class T>
struct ColumnSumArgs {
  Segments segments;
  int64_t cols = 0;
  const T* x = nullptr;  // [tokens, cols], row stride ld
  int64_t ld = 0;
  Wide<T>* out = nullptr;  // [cols], added to, sample by sample in order
};

template <class T>
struct DropoutArgs {
  int64_t tokens = 0, cols = 0;
  const T* x = nullptr;  // [tokens, cols]
  T* y = nullptr;        // [tokens, cols]; may alias x
  bool accumulate = false;
  float p = 0;
  uint64_t key = 0;         // dropout_key(seed, optimizer step)
  uint32_t site = 0;        // unique per place in the model
  IndexView row, position;  // [tokens]: sample's ordinal in the step, position in it
};

void add(CpuStream&, const AddArgs<float>&);
void add(CpuStream&, const AddArgs<double>&);
void add(CudaStream&, const AddArgs<float>&);
void add(CudaStream&, const AddArgs<BF16>&);
void add(CudaStream&, const AddArgs<F16>&);
void scale(CpuStream&, const ScaleArgs<float>&);
void scale(CpuStream&, const ScaleArgs<double>&);
void scale(CudaStream&, const ScaleArgs<float>&);
void scale(CudaStream&, const ScaleArgs<BF16>&);
void scale(CudaStream&, const ScaleArgs<F16>&);
void column_sum(CpuStream&, const ColumnSumArgs<float>&);
void column_sum(CpuStream&, const ColumnSumArgs<double>&);
void column_sum(CudaStream&, const ColumnSumArgs<float>&);
void column_sum(CudaStream&, const ColumnSumArgs<BF16>&);
void column_sum(CudaStream&, const ColumnSumArgs<F16>&);
/// Forward and backward are the same map (apply it to dy).
void dropout(CpuStream&, const DropoutArgs<float>&);
void dropout(CpuStream&, const DropoutArgs<double>&);
void dropout(CudaStream&, const DropoutArgs<float>&);
void dropout(CudaStream&, const DropoutArgs<BF16>&);
void dropout(CudaStream&, const DropoutArgs<F16>&);

// ---- differentiable

/// a + b, same shape.
Var add(Tape&, const Var& a, const Var& b);
/// scale · x.
Var scale(Tape&, const Var& x, double factor);
/// Dropout of x [tokens, cols] with the pass's rows and positions; x itself when p = 0.
Var dropout(Tape&, const Var& x, float p, uint64_t key, uint32_t site);

}  // namespace ft
