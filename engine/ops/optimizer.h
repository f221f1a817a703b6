// Optimizer updates over one tensor, and the squared norm. State has the compute type.
//   AdamW (Loshchilov and Hutter 2019), torch.optim.AdamW's order of operations:
//     w −= lr·weight_decay·w;  m = β1 m + (1 − β1) g;  v = β2 v + (1 − β2) g²;
//     w −= lr / (1 − β1^t) · m / (√v / √(1 − β2^t) + eps)            with g = grad_scale · grad
//   SGD with momentum (torch.optim.SGD, dampening 0): g += weight_decay·w; buf = μ·buf + g (buf = g at t =
//   1).
#pragma once

#include <cstdint>

#include "engine/core/backend_streams.h"

namespace ft {

template <class T>
struct AdamWArgs {
  int64_t count = 0;
  T* w = nullptr;
  const T* grad = nullptr;
  T *m = nullptr, *v = nullptr;
  double lr = 0, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
  double grad_scale = 1;  // from norm clipping
  int64_t t = 1;          // 1-based count of updates
};

template <class T>
struct SgdArgs {
  int64_t count = 0;
  T* w = nullptr;
  const T* grad = nullptr;
  T* buf = nullptr;  // null without momentum
  double lr = 0, momentum = 0, weight_decay = 0, grad_scale = 1;
  int64_t t = 1;
};

template <class T>
struct SumSquaresArgs {
  int64_t count = 0;
  const T* x = nullptr;
  double* out = nullptr;  // [1], overwritten: Σ x² in double, in a fixed order; NaN or infinity pass through
};

void adamw(CpuStream&, const AdamWArgs<float>&);
void adamw(CpuStream&, const AdamWArgs<double>&);
void adamw(CudaStream&, const AdamWArgs<float>&);
void sgd(CpuStream&, const SgdArgs<float>&);
void sgd(CpuStream&, const SgdArgs<double>&);
void sgd(CudaStream&, const SgdArgs<float>&);
void sum_squares(CpuStream&, const SumSquaresArgs<float>&);
void sum_squares(CpuStream&, const SumSquaresArgs<double>&);
void sum_squares(CudaStream&, const SumSquaresArgs<float>&);

}  // namespace ft
