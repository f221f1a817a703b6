// The masks of low_rank_mask.h in device code.
#pragma once

#include "kernels/cuda/low_rank_mask.h"
#include "kernels/cuda/philox.cuh"

namespace ft {

struct MaskRule {
  const int32_t *row, *position;
  uint64_t key;
  uint32_t site;
  DropoutRule rule;

  explicit MaskRule(const DropoutMask& m)
      : row(m.row), position(m.position), key(m.key), site(m.site), rule(dropout_rule(m.p)) {}
  /// What the product's scale is multiplied by.
  float factor() const { return std::isfinite(rule.factor) ? rule.factor : 0; }

  /// v[k] = 0 where the element (token, column + k) is dropped; column is a multiple of 4.
  template <int N, class V>
  __device__ __forceinline__ void zero_dropped(int64_t token, int64_t column, V (&v)[N]) const {
    static_assert(N % 4 == 0);
#pragma unroll
    for (int k = 0; k < N; k += 4) {
      const uint4 words =
          dropout_words(key, site, static_cast<uint32_t>(row[token]), static_cast<uint32_t>(position[token]),
                        static_cast<uint32_t>((column + k) / 4));
      const uint32_t word[] = {words.x, words.y, words.z, words.w};
#pragma unroll
      for (int i = 0; i < 4; ++i)
        if (!rule.keeps(word[i])) v[k + i] = V{};
    }
  }
};

}  // namespace ft
