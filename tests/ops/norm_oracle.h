// The norms as plain loops in T: h = x + residual, statistics in two passes, y; and the textbook backward.
#pragma once

#include <cmath>
#include <vector>

#include "engine/ops/norm.h"

namespace ft::test {

template <class T>
void norm_oracle(const NormArgs<T>& a) {
  for (int64_t r = 0; r < a.rows; ++r) {
    std::vector<T> h(a.x + r * a.cols, a.x + (r + 1) * a.cols);
    if (a.residual) {
      for (int64_t c = 0; c < a.cols; ++c) a.sum[r * a.cols + c] = h[c] += a.residual[r * a.cols + c];
    }
    T mean = 0, variance = 0;
    if (a.center) {
      for (const T v : h) mean += v;
      mean /= static_cast<T>(a.cols);
      a.mean[r] = mean;
    }
    for (const T v : h) variance += (v - mean) * (v - mean);
    const T rstd = 1 / std::sqrt(variance / static_cast<T>(a.cols) + a.eps);
    a.rstd[r] = rstd;
    for (int64_t c = 0; c < a.cols; ++c) {
      a.y[r * a.cols + c] =
          (h[c] - mean) * rstd * (a.weight[c] + a.weight_offset) + (a.bias ? a.bias[c] : T{0});
    }
  }
}

template <class T>
void norm_grad_oracle(const NormGradArgs<T>& a) {
  for (int32_t s = 0; s < a.segments.count; ++s) {
    std::vector<T> dweight(a.cols), dbias(a.cols);
    for (int64_t r = a.segments.bounds[s] * a.rows_per_token; r < a.segments.bounds[s + 1] * a.rows_per_token;
         ++r) {
      const T mean = a.mean ? a.mean[r] : T{0}, rstd = a.rstd[r];
      T mean_g = 0, mean_gx = 0;
      for (int64_t c = 0; c < a.cols; ++c) {
        const T dy = a.dy[r * a.cols + c], x = (a.h[r * a.cols + c] - mean) * rstd;
        dweight[c] += dy * x;
        dbias[c] += dy;
        mean_g += dy * (a.weight[c] + a.weight_offset);
        mean_gx += dy * (a.weight[c] + a.weight_offset) * x;
      }
      mean_g = a.mean ? mean_g / static_cast<T>(a.cols) : T{0};
      mean_gx /= static_cast<T>(a.cols);
      for (int64_t c = 0; a.dh && c < a.cols; ++c) {
        const T g = a.dy[r * a.cols + c] * (a.weight[c] + a.weight_offset),
                x = (a.h[r * a.cols + c] - mean) * rstd;
        const T dh = rstd * (g - x * mean_gx - mean_g);
        a.dh[r * a.cols + c] = a.accumulate ? a.dh[r * a.cols + c] + dh : dh;
      }
    }
    for (int64_t c = 0; c < a.cols; ++c) {
      if (a.dweight) a.dweight[c] += dweight[c];
      if (a.dbias) a.dbias[c] += dbias[c];
    }
  }
}

}  // namespace ft::test
