// Softmax cross entropy by its definition, in T: largest logit, sum of exponentials, loss, gradient.
#pragma once

#include <cmath>

#include "engine/ops/cross_entropy.h"

namespace ft::test {

template <class T>
void cross_entropy_oracle(const CrossEntropyArgs<T>& a) {
  for (int64_t r = 0; r < a.rows; ++r) {
    T* z = a.logits + r * a.ld;
    int64_t best = 0;
    for (int64_t c = 1; c < a.classes; ++c) best = z[c] > z[best] ? c : best;
    const T m = z[best];
    T sum = 0;
    for (int64_t c = 0; c < a.classes; ++c) sum += std::exp(z[c] - m);
    a.loss[r] = std::log(sum) + m - z[a.targets[r]];
    if (a.argmax) a.argmax[r] = static_cast<int32_t>(best);
    if (!a.gradient) continue;
    for (int64_t c = 0; c < a.classes; ++c) {
      z[c] = a.scale * (std::exp(z[c] - m) / sum - (c == a.targets[r] ? T{1} : T{0}));
    }
  }
}

}  // namespace ft::test
