// Shapes for what works on pieces of rows: one row a case, for test, gradient check and the other backends.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/ops/pieces.h"

namespace ft::test {

struct SwapAxesCase {
  std::string name;
  int64_t tokens = 0, outer = 0, inner = 0;
};

inline const std::vector<SwapAxesCase>& swap_axes_cases() {
  static const std::vector<SwapAxesCase> cases = {
      {"one_element", 1, 1, 1}, {"no_rows", 0, 3, 4},       {"one_piece", 5, 1, 37},   {"square", 9, 24, 24},
      {"odd", 7, 5, 13},        {"tall_pieces", 3, 300, 2}, {"long_rows", 2, 32, 129},
  };
  return cases;
}

template <class T>
void swap_axes_oracle(const SwapAxesArgs<T>& a) {
  for (int64_t i = 0; i < a.tokens * a.outer * a.inner; ++i) {
    const int64_t c = i % a.inner, b = i / a.inner % a.outer, t = i / a.inner / a.outer;
    a.y[(t * a.inner + c) * a.outer + b] = a.x[i];
  }
}

}  // namespace ft::test
