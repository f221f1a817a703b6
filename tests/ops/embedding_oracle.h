// Lookup and scatter on a plain table [V, C], and the packed copy of one.
#pragma once

#include <vector>

#include "engine/ops/embedding.h"

namespace ft::test {

/// A packed copy of `plain` [rows, cols], stored as S by `convert`.
template <class S, class Convert>
std::vector<S> packed_table(const std::vector<double>& plain, int64_t rows, int64_t cols, Convert convert) {
  std::vector<S> packed(static_cast<size_t>(packed_elements(rows, cols)), convert(0.0));
  for (int64_t n = 0; n < rows; ++n) {
    for (int64_t k = 0; k < cols; ++k) {
      packed[static_cast<size_t>(packed_index(n, k, cols))] =
          convert(plain[static_cast<size_t>(n * cols + k)]);
    }
  }
  return packed;
}

template <class T>
std::vector<T> embedding_oracle(const std::vector<double>& plain, int64_t cols,
                                const std::vector<int32_t>& ids, T scale) {
  std::vector<T> y;
  for (const int32_t id : ids) {
    for (int64_t k = 0; k < cols; ++k)
      y.push_back(scale * static_cast<T>(plain[static_cast<size_t>(id * cols + k)]));
  }
  return y;
}

/// dtable [V, C] plain, added to token by token.
template <class T>
void embedding_grad_oracle(std::vector<T>& dtable, int64_t cols, const std::vector<int32_t>& ids,
                           const std::vector<T>& dy, T scale) {
  for (size_t t = 0; t < ids.size(); ++t) {
    for (int64_t k = 0; k < cols; ++k) {
      dtable[static_cast<size_t>(ids[t] * cols + k)] +=
          scale * dy[t * static_cast<size_t>(cols) + static_cast<size_t>(k)];
    }
  }
}

}  // namespace ft::test
