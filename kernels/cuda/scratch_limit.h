// How much scratch an op may take at once before it works in slices.
#pragma once

#include <cstdint>

namespace ft {

/// Bytes: 64 MiB; tests lower it. Slices never cut a sum. What cannot be cut further (16 columns of a weight,
/// 128 of a partial gradient) is taken whole.
inline int64_t& scratch_limit() {
  static int64_t bytes = int64_t{64} << 20;
  return bytes;
}

}  // namespace ft
