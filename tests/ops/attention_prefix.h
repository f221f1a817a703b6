// Two ways to say the same: a prefix of P rows, and a sample whose first P keys are those rows. Prefix row p
// stands at position p, own key j at position P + j.
#pragma once

#include <algorithm>
#include <utility>

#include "tests/ops/attention_cases.h"

namespace ft::test {

/// {with a prefix, with leading keys}: one sample, causal, ALiBi, grouped queries.
template <class T>
std::pair<AttentionData<T>, AttentionData<T>> prefix_and_leading_keys() {
  constexpr int32_t kPrefix = 5, kTokens = 19;
  const AttentionCase base{"", {kTokens}, {}, 4, 2, 16, kPrefix, 0, true, true};
  AttentionData<T> prefixed(base);
  AttentionCase all = base;
  all.prefix = 0;
  all.keys = {kPrefix + kTokens};
  AttentionData<T> leading(all);
  const int64_t width = base.kv_heads * base.head_dim;
  const auto fill = [&](std::vector<T>& to, int64_t ld, const std::vector<T>& prefix,
                        const std::vector<T>& own) {
    for (int64_t row = 0; row < kPrefix + kTokens; ++row) {
      const T* from = row < kPrefix ? &prefix[static_cast<size_t>(row * prefixed.ld_prefix)]
                                    : &own[static_cast<size_t>((prefixed.kv_begin[0] + row - kPrefix) * ld)];
      std::copy_n(from, width, &to[static_cast<size_t>((leading.kv_begin[0] + row) * ld)]);
    }
  };
  fill(leading.k, leading.ldk, prefixed.prefix_k, prefixed.k);
  fill(leading.v, leading.ldv, prefixed.prefix_v, prefixed.v);
  return {std::move(prefixed), std::move(leading)};
}

}  // namespace ft::test
