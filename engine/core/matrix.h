#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace ft {

/// The transpose [cols, rows] of a row-major matrix [rows, cols], tile by tile so that both sides stay in
/// cache.
template <class T>
std::vector<T> transposed(const std::vector<T>& in, int64_t rows, int64_t cols) {
  constexpr int64_t kTile = 32;
  std::vector<T> out(in.size());
  for (int64_t r0 = 0; r0 < rows; r0 += kTile)
    for (int64_t c0 = 0; c0 < cols; c0 += kTile)
      for (int64_t r = r0; r < std::min(rows, r0 + kTile); ++r)
        for (int64_t c = c0; c < std::min(cols, c0 + kTile); ++c) out[c * rows + r] = in[r * cols + c];
  return out;
}

}  // namespace ft
