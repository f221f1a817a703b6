// The matrix products as plain loops in the scalar type Acc: what the packed kernels are compared with.
#pragma once

#include <cmath>
#include <vector>

#include "engine/ops/matmul.h"

namespace ft::test {

/// Element of a packed weight, widened.
inline double weight_at(const PackedView& w, int64_t n, int64_t k) {
  const auto i = static_cast<size_t>(packed_index(n, k, w.cols));
  switch (w.dtype) {
    case DType::f64:
      return static_cast<const double*>(w.data)[i];
    case DType::f32:
      return static_cast<const float*>(w.data)[i];
    case DType::bf16:
      return to_float(static_cast<const BF16*>(w.data)[i]);
    default:
      return to_float(static_cast<const F16*>(w.data)[i]);
  }
}

/// y [T, ldy], the whole buffer: elements outside the product keep what a.y holds.
template <class Acc, class T>
std::vector<Acc> matmul_oracle(const MatmulArgs<T>& a) {
  std::vector<Acc> y(a.y, a.y + a.tokens * a.ldy);
  for (int64_t t = 0; t < a.tokens; ++t) {
    for (int64_t n = 0; n < a.w.rows; ++n) {
      Acc sum = 0;
      for (int64_t k = 0; k < a.w.cols; ++k) {
        sum += static_cast<Acc>(a.x[t * a.ldx + k]) * static_cast<Acc>(weight_at(a.w, n, k));
      }
      Acc& out = y[static_cast<size_t>(t * a.ldy + n)];
      out = (a.accumulate ? out : 0) + (a.bias ? static_cast<Acc>(a.bias[n]) : 0) + sum;
    }
  }
  return y;
}

template <class Acc, class T>
std::vector<Acc> matmul_grad_input_oracle(const MatmulGradInputArgs<T>& a) {
  std::vector<Acc> dx(a.dx, a.dx + a.tokens * a.ldx);
  for (int64_t t = 0; t < a.tokens; ++t) {
    for (int64_t k = 0; k < a.w.cols; ++k) {
      Acc sum = 0;
      for (int64_t n = 0; n < a.w.rows; ++n) {
        sum += static_cast<Acc>(a.dy[t * a.ldy + n]) * static_cast<Acc>(weight_at(a.w, n, k));
      }
      Acc& out = dx[static_cast<size_t>(t * a.ldx + k)];
      out = (a.accumulate ? out : 0) + sum;
    }
  }
  return dx;
}

template <class Acc, class T>
std::vector<Acc> matmul_grad_weight_oracle(const MatmulGradWeightArgs<T>& a) {
  std::vector<Acc> dw(a.dw, a.dw + packed_elements(a.rows, a.cols));
  for (int32_t s = 0; s < a.segments.count; ++s) {
    for (int64_t n = 0; n < a.rows; ++n) {
      for (int64_t k = 0; k < a.cols; ++k) {
        Acc sum = 0;
        for (int64_t t = a.segments.bounds[s]; t < a.segments.bounds[s + 1]; ++t) {
          sum += static_cast<Acc>(a.dy[t * a.ldy + n]) * static_cast<Acc>(a.x[t * a.ldx + k]);
        }
        dw[static_cast<size_t>(packed_index(n, k, a.cols))] += sum;
      }
    }
  }
  return dw;
}

}  // namespace ft::test
