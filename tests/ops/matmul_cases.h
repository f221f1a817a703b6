// Cases of the matrix products: odd sizes around the tile (6 × 16), the panel (16) and the chunk (288),
// single elements, strides wider than the row, and shapes of real layers.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <vector>

#include "engine/core/dtype.h"

namespace ft::test {

struct MatmulCase {
  int64_t tokens, outputs, inputs;  // T, N, K
  int64_t pad = 0;                  // every row stride is this much wider than the row
  bool bias = false, accumulate = false;

  std::string name() const {
    return fmt::format("T{} N{} K{} pad{}{}{}", tokens, outputs, inputs, pad, bias ? " bias" : "",
                       accumulate ? " accumulate" : "");
  }
};

inline const std::vector<MatmulCase>& matmul_cases() {
  static const std::vector<MatmulCase> cases = {
      {1, 1, 1},
      {1, 16, 1, 0, true},
      {2, 17, 3, 1, true, true},
      {3, 33, 7, 2, false, true},
      {4, 5, 17},
      {5, 100, 31, 3, true},
      {6, 48, 64},
      {7, 15, 288, 0, true, true},
      {8, 31, 289, 5},
      {13, 50, 300, 0, false, true},
      {16, 96, 96},
      {17, 16, 577, 1, true},
      {31, 97, 33, 0, true},
      {48, 64, 48, 0, false, true},
      {50, 577, 40, 4},
      {65, 129, 130, 2, true, true},
      {97, 20, 600, 0, true},
      {193, 70, 30},
      {261, 40, 50, 7, true, true},
      {300, 300, 1, 0, true},
      {33, 600, 290, 3, true},
  };
  return cases;
}

/// Storage types of a weight; float64 only under float64 arithmetic.
constexpr DType kStorages[] = {DType::f32, DType::bf16, DType::f16};

/// Lengths of samples, laid end to end: one token, none, more than a chunk, typical.
inline const std::vector<std::vector<int32_t>>& sample_lengths() {
  static const std::vector<std::vector<int32_t>> lengths = {{1},      {5, 0, 3},    {17},  {90, 33, 1, 64},
                                                            {289, 2}, {16, 16, 16}, {700}, {3, 300, 40}};
  return lengths;
}

}  // namespace ft::test
