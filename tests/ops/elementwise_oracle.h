// Column sums and dropout as plain loops; dropout reads engine/core/rng.h word by word.
#pragma once

#include <vector>

#include "engine/core/rng.h"
#include "engine/ops/elementwise.h"

namespace ft::test {

template <class T>
void column_sum_oracle(const ColumnSumArgs<T>& a) {
  for (int64_t c = 0; c < a.cols; ++c) {
    for (int32_t s = 0; s < a.segments.count; ++s) {
      T sum = 0;
      for (int64_t t = a.segments.bounds[s]; t < a.segments.bounds[s + 1]; ++t) sum += a.x[t * a.ld + c];
      a.out[c] += sum;
    }
  }
}

template <class T>
void dropout_oracle(const DropoutArgs<T>& a) {
  for (int64_t t = 0; t < a.tokens; ++t) {
    for (int64_t j = 0; j < a.cols; ++j) {
      const Philox4 words = dropout_bits(a.key, a.site, static_cast<uint32_t>(a.row[t]),
                                         static_cast<uint32_t>(a.position[t]), static_cast<uint32_t>(j / 4));
      const bool keep = unit_float(words[static_cast<size_t>(j % 4)]) >= a.p;
      const T kept =
          keep ? static_cast<T>(1.0 / (1.0 - static_cast<double>(a.p))) * a.x[t * a.cols + j] : T{0};
      a.y[t * a.cols + j] = a.accumulate ? a.y[t * a.cols + j] + kept : kept;
    }
  }
}

}  // namespace ft::test
