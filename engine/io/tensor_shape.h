// Sizes that a file claims, computed so that no claim can overflow.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace ft {

constexpr size_t kMaxDimensions = 8;

inline std::optional<uint64_t> checked_product(uint64_t a, uint64_t b) {
  uint64_t product;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

inline std::optional<uint64_t> checked_sum(uint64_t a, uint64_t b) {
  uint64_t sum;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

/// Numbers in a tensor of this shape; nothing if they, or those of any part of it, exceed int64_t.
/// A dimension of 0 counts as 1 on the way, so that products over parts of the shape are safe as well.
inline std::optional<uint64_t> checked_element_count(const std::vector<int64_t>& shape) {
  uint64_t count = 1;
  bool empty = false;
  for (const int64_t dimension : shape) {
    if (dimension < 0) return std::nullopt;
    empty = empty || dimension == 0;
    const auto product = checked_product(count, dimension == 0 ? 1 : static_cast<uint64_t>(dimension));
    if (!product || *product > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return std::nullopt;
    count = *product;
  }
  return empty ? 0 : count;
}

}  // namespace ft
