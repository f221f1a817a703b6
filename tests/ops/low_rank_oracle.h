// The thin products of LoRA as plain loops in the scalar type Acc.
#pragma once

#include <vector>

#include "engine/ops/low_rank.h"

namespace ft::test {

template <class Acc, class T>
std::vector<Acc> low_rank_down_oracle(const LowRankDownArgs<T>& a) {
  std::vector<Acc> u(static_cast<size_t>(a.tokens * a.rank));
  for (int64_t t = 0; t < a.tokens; ++t) {
    for (int64_t r = 0; r < a.rank; ++r) {
      Acc sum = 0;
      for (int64_t c = 0; c < a.cols; ++c)
        sum += static_cast<Acc>(a.x[t * a.ldx + c]) * static_cast<Acc>(a.w[r * a.cols + c]);
      u[static_cast<size_t>(t * a.rank + r)] = static_cast<Acc>(a.scale) * sum;
    }
  }
  return u;
}

/// The whole buffer [T, ldy].
template <class Acc, class T>
std::vector<Acc> low_rank_up_oracle(const LowRankUpArgs<T>& a) {
  std::vector<Acc> y(a.y, a.y + a.tokens * a.ldy);
  for (int64_t t = 0; t < a.tokens; ++t) {
    for (int64_t c = 0; c < a.cols; ++c) {
      Acc sum = 0;
      for (int64_t r = 0; r < a.rank; ++r)
        sum += static_cast<Acc>(a.u[t * a.rank + r]) * static_cast<Acc>(a.w[r * a.cols + c]);
      Acc& out = y[static_cast<size_t>(t * a.ldy + c)];
      out = (a.accumulate ? out : 0) + static_cast<Acc>(a.scale) * sum;
    }
  }
  return y;
}

template <class Acc, class T>
std::vector<Acc> low_rank_grad_oracle(const LowRankGradArgs<T>& a) {
  std::vector<Acc> dw(a.dw, a.dw + a.rank * a.cols);
  for (int32_t s = 0; s < a.segments.count; ++s) {
    for (int64_t r = 0; r < a.rank; ++r) {
      for (int64_t c = 0; c < a.cols; ++c) {
        Acc sum = 0;
        for (int64_t t = a.segments.bounds[s]; t < a.segments.bounds[s + 1]; ++t) {
          sum += static_cast<Acc>(a.u[t * a.rank + r]) * static_cast<Acc>(a.x[t * a.ldx + c]);
        }
        dw[static_cast<size_t>(r * a.cols + c)] += static_cast<Acc>(a.scale) * sum;
      }
    }
  }
  return dw;
}

}  // namespace ft::test
