// The scaling of columns and its gradients as plain loops.
#pragma once

#include "engine/ops/column_scale.h"

namespace ft::test {

template <class T>
void column_scale_oracle(const ColumnScaleArgs<T>& a) {
  for (int64_t i = 0; i < a.rows * a.cols; ++i) {
    const int64_t c = i % a.cols;
    a.y[i] = a.pivot ? (a.x[i] - a.pivot[c]) * a.scale[c] + a.pivot[c] : a.x[i] * a.scale[c];
  }
}

template <class T>
void column_scale_grad_oracle(const ColumnScaleGradArgs<T>& a) {
  for (int64_t c = 0; c < a.cols; ++c) {
    for (int32_t s = 0; s < a.segments.count; ++s) {
      T sum = 0;
      for (int64_t t = a.segments.bounds[s]; t < a.segments.bounds[s + 1]; ++t)
        sum += a.dy[t * a.cols + c] * (a.x[t * a.cols + c] - (a.pivot ? a.pivot[c] : T{0}));
      a.dscale[c] += sum;
    }
  }
  for (int64_t i = 0; i < a.segments.tokens() * a.cols; ++i)
    a.dx[i] = (a.accumulate ? a.dx[i] : T{0}) + a.dy[i] * a.scale[i % a.cols];
}

}  // namespace ft::test
