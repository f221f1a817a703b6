// Rows of a trained matrix times a factor each, and products of rows, for methods that learn a factor a rank
// (AdaLoRA's singular values) and for masks:
//   row_scale   y[i, c] (+)= s[i] · x[i, c]
//   row_dot     out[i] (+)= factor · Σ_c a[i, c] · b[i, c]
// Each is the other's gradient. One read of the inputs and one write of the output; the sum in a fixed order.
#pragma once

#include <cstdint>

#include "engine/core/backend_streams.h"

namespace ft {

template <class T>
struct RowScaleArgs {
  int64_t rows = 0, cols = 0;
  const T* x = nullptr;      // [rows, cols]
  const T* scale = nullptr;  // [rows]
  T* y = nullptr;            // [rows, cols]; may alias x
  bool accumulate = false;   // y += instead of y =
};

template <class T>
struct RowDotArgs {
  int64_t rows = 0, cols = 0;
  const T *a = nullptr, *b = nullptr;  // [rows, cols]
  T factor = 1;
  T* out = nullptr;  // [rows]
  bool accumulate = false;
};

void row_scale(CpuStream&, const RowScaleArgs<float>&);
void row_scale(CpuStream&, const RowScaleArgs<double>&);
void row_scale(CudaStream&, const RowScaleArgs<float>&);
void row_dot(CpuStream&, const RowDotArgs<float>&);
void row_dot(CpuStream&, const RowDotArgs<double>&);
void row_dot(CudaStream&, const RowDotArgs<float>&);

}  // namespace ft
