// Every column times a learned factor, (IA)³ (Liu et al. 2022): y = x · l, l [cols]; or about a pivot,
// y = p + (x − p) · l, which is how DoRA scales a layer's output and leaves its bias alone.
// Saved for backward: x, when l is trained. Backward: dx = dy · l; dl += Σ over rows of dy · (x − p), sample
// by sample in order, each sample's sum formed by itself. The pivot gets no gradient. Cost: one read and one
// write of the activation forward and, backward, one read of dy (and of x) and one write of dx.
#pragma once

#include <cstdint>

#include "engine/autograd/fwd.h"
#include "engine/core/backend_streams.h"
#include "engine/core/segments.h"

namespace ft {

template <class T>
struct ColumnScaleArgs {
  int64_t rows = 0, cols = 0;
  const T* x = nullptr;            // [rows, cols]
  const Wide<T>* scale = nullptr;  // [cols]
  T* y = nullptr;                  // [rows, cols]; may alias x
  const Wide<T>* pivot = nullptr;  // [cols] or null: zero
};

template <class T>
struct ColumnScaleGradArgs {
  Segments segments;  // of the rows
  int64_t cols = 0;
  const T* dy = nullptr;           // [rows, cols]
  const T* x = nullptr;            // [rows, cols]; null when dscale is
  const Wide<T>* scale = nullptr;  // [cols]
  T* dx = nullptr;                 // [rows, cols] or null; may alias dy
  bool accumulate = false;         // dx += instead of dx =
  Wide<T>* dscale = nullptr;       // [cols], added to, or null
  const Wide<T>* pivot = nullptr;  // [cols] or null; read for dscale
};

void column_scale(CpuStream&, const ColumnScaleArgs<float>&);
void column_scale(CpuStream&, const ColumnScaleArgs<double>&);
void column_scale(CudaStream&, const ColumnScaleArgs<float>&);
void column_scale(CudaStream&, const ColumnScaleArgs<BF16>&);
void column_scale(CudaStream&, const ColumnScaleArgs<F16>&);
void column_scale_grad(CpuStream&, const ColumnScaleGradArgs<float>&);
void column_scale_grad(CpuStream&, const ColumnScaleGradArgs<double>&);
void column_scale_grad(CudaStream&, const ColumnScaleGradArgs<float>&);
void column_scale_grad(CudaStream&, const ColumnScaleGradArgs<BF16>&);
void column_scale_grad(CudaStream&, const ColumnScaleGradArgs<F16>&);

// ---- differentiable

/// x [tokens, cols] times `scale`, a plain parameter of cols elements of whatever shape, about a frozen
/// `pivot` [cols] where one is given.
Var column_scale(Tape&, const Var& x, Parameter& scale, const Parameter* pivot = nullptr);

}  // namespace ft
