// How much the loss would miss an entry of a trained matrix, as AdaLoRA measures it (Zhang et al. 2023,
// "Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning", equations 8 to 10): sensitivity
// i = |w · g|, smoothed, and the smoothed deviation from it. Elementwise; the score of an entry is the
// product of both averages.
//   average     = β1 average + (1 − β1) i
//   uncertainty = β2 uncertainty + (1 − β2) |i − average|       with the new average
#pragma once

#include <cstdint>

#include "engine/core/backend_streams.h"

namespace ft {

template <class T>
struct ImportanceArgs {
  int64_t count = 0;
  const T *w = nullptr, *grad = nullptr;
  T grad_scale = 1;  // from norm clipping: g = grad_scale · grad
  T beta1 = 0, beta2 = 0;
  T *average = nullptr, *uncertainty = nullptr;  // updated
};

void importance(CpuStream&, const ImportanceArgs<float>&);
void importance(CpuStream&, const ImportanceArgs<double>&);
void importance(CudaStream&, const ImportanceArgs<float>&);

}  // namespace ft
