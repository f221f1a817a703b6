// What samples see before their own tokens: the keys and values of virtual tokens, made once a step (or once
// before a generation) and read by every sample of every pass. A prefix learns them; those of a prompt are
// the activations of its rows, which under a causal mask see nothing but themselves and the prefix.
// Gradients add up in the Vars, sample by sample in order, and go on from there once, after the last pass.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/ops/head_columns.h"

namespace ft {

/// One layer's keys (rotated, as attention reads them) and values: [rows, kv_heads · D] each.
struct KvRows {
  HeadColumns k, v;
  bool defined() const { return k.var.defined(); }
  bool requires_grad() const { return defined() && (k.var.requires_grad() || v.var.requires_grad()); }
};

struct VirtualTokens {
  struct Part {
    int64_t rows = 0;
    std::vector<KvRows> kv;  // [layers], undefined in a layer that does not see them; or empty
  };
  Part prefix, prompt;  // in this order

  /// Positions that they take: a sample's own tokens start at this one.
  int64_t rows() const { return prefix.rows + prompt.rows; }
  /// What a layer's attention reads before each sample; null: nothing. A pass without a cache has one
  /// part at most (a prompt behind a prefix stands in the samples themselves).
  const KvRows* at(int64_t layer) const {
    const std::vector<KvRows>& kv = prompt.kv.empty() ? prefix.kv : prompt.kv;
    const auto l = static_cast<size_t>(layer);
    return kv.empty() || !kv[l].defined() ? nullptr : &kv[l];
  }
  /// Rows at the start of a cached sample that a layer does not see: a prefix that passes it by.
  int64_t hidden_from(int64_t layer) const {
    return prefix.kv.empty() || prefix.kv[static_cast<size_t>(layer)].defined() ? 0 : prefix.rows;
  }
};

}  // namespace ft
