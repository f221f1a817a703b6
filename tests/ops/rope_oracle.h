// The rotary embedding, pair by pair.
#pragma once

#include "engine/ops/rope.h"

namespace ft::test {

template <class T>
void rope_oracle(const RopeArgs<T>& a) {
  const int64_t half = a.rotary_dim / 2;
  for (int64_t t = 0; t < a.tokens; ++t)
    for (int64_t h = 0; h < a.heads; ++h)
      for (int64_t i = 0; i < half; ++i) {
        T* x = a.x + t * a.ld + h * a.head_dim;
        T& first = a.interleaved ? x[2 * i] : x[i];
        T& second = a.interleaved ? x[2 * i + 1] : x[half + i];
        const T cos = a.cos[t * half + i], sin = a.inverse ? -a.sin[t * half + i] : a.sin[t * half + i];
        const T p = first, q = second;
        first = p * cos - q * sin;
        second = p * sin + q * cos;
      }
}

}  // namespace ft::test
