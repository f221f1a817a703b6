// The random words of dropout in device code: Philox-4x32-10 and its counters exactly as engine/core/rng.h
// has them, so that an element is kept here if and only if the CPU keeps it. Ten rounds of two
// wide products for four elements.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace ft {

/// philox({block, position, row, site}, key): the words of elements 4·block … 4·block + 3 of a token.
__device__ __forceinline__ uint4 dropout_words(uint64_t key, uint32_t site, uint32_t row, uint32_t position,
                                               uint32_t block) {
  uint4 c = {block, position, row, site};
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const uint32_t low0 = 0xD2511F53u * c.x, high0 = __umulhi(0xD2511F53u, c.x);
    const uint32_t low1 = 0xCD9E8D57u * c.z, high1 = __umulhi(0xCD9E8D57u, c.z);
    c = {high1 ^ c.y ^ k0, low1, high0 ^ c.w ^ k1, low0};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

/// What p becomes for the kernels, made once on the host: a word keeps its element when word >> 8 > below,
/// which is unit_float(word) >= p; what is kept is multiplied by factor = 1/(1 − p).
struct DropoutRule {
  int32_t below;
  float factor;
  __device__ __forceinline__ bool keeps(uint32_t word) const {
    return static_cast<int32_t>(word >> 8) > below;
  }
};
inline DropoutRule dropout_rule(float p) {
  const double share = std::clamp(static_cast<double>(p), 0.0, 1.0);
  return {static_cast<int32_t>(std::ceil(share * 0x1p24)) - 1, static_cast<float>(1 / (1 - share))};
}

}  // namespace ft
