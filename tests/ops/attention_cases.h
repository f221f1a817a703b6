// Shapes and masks of attention: one row a case, for test, gradient check, benchmark and the other backends;
// AttentionData makes the operands of a case.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/ops/attention.h"
#include "tests/ops/op_test.h"

namespace ft::test {

struct AttentionCase {
  std::string name;
  std::vector<int32_t> queries;  // per sample
  std::vector<int32_t> keys;     // per sample; empty: as many as queries
  int64_t heads = 1, kv_heads = 1, head_dim = 8;
  int64_t prefix = 0, window = 0;
  bool causal = true, alibi = false;
  bool fused = false;  // q, k, v are columns of one matrix
  int64_t span = -1;   // of a bias by distance; below 0: none
};

inline const std::vector<AttentionCase>& attention_cases() {
  static const std::vector<AttentionCase> cases = {
      {"one_head", {5}, {}, 1, 1, 8},
      {"one_token", {1, 1}, {}, 2, 1, 4},
      {"ragged", {3, 1, 17, 0, 6}, {}, 2, 2, 12},
      {"grouped", {7, 20}, {}, 9, 3, 20},
      {"one_key_head", {11, 2}, {}, 5, 1, 16},
      {"head_size_one", {6, 3}, {}, 2, 1, 1},
      {"odd_head_size", {9, 4}, {}, 3, 3, 13},
      {"wide_head", {10}, {}, 2, 1, 128},
      {"not_causal", {7, 19}, {}, 4, 2, 12, 0, 0, false},
      {"prefix", {6, 1, 18}, {}, 4, 2, 12, 5},
      {"prefix_long", {5, 3}, {}, 2, 1, 8, 53},
      {"prefix_not_causal", {4, 9}, {}, 3, 3, 5, 3, 0, false},
      {"window", {30, 4}, {}, 2, 1, 12, 0, 7},
      {"window_prefix", {70, 2}, {}, 2, 2, 4, 3, 5},
      {"alibi", {21, 6}, {}, 4, 4, 12, 0, 0, true, true},
      {"alibi_grouped_prefix", {8, 14}, {}, 6, 2, 8, 4, 0, true, true},
      {"fused", {9, 13}, {}, 3, 3, 12, 0, 0, true, false, true},
      {"fused_grouped", {9, 5}, {}, 4, 2, 8, 2, 0, true, false, true},
      {"cache", {1, 3, 1}, {60, 9, 1}, 3, 1, 12},
      {"cache_window_alibi", {2, 1}, {55, 8}, 4, 2, 8, 2, 9, true, true},
      {"cross", {5, 2}, {13, 50}, 2, 2, 12, 0, 0, false},
      {"no_keys", {3, 0, 2}, {0, 4, 2}, 2, 1, 8},
      {"more_queries_than_keys", {9}, {4}, 2, 1, 8},
      {"all_at_once", {33, 1, 50, 2}, {40, 1, 50, 60}, 6, 2, 20, 7, 11, true, true},
      {"blocks", {130, 49, 97}, {}, 3, 1, 64},
      {"relative", {19, 6}, {}, 4, 2, 12, 0, 0, false, false, false, 7},
      {"relative_prefix_alibi_window", {30, 1, 9}, {}, 4, 2, 8, 3, 9, true, true, false, 4},
      {"relative_cross", {5, 2}, {13, 50}, 2, 2, 12, 0, 0, false, false, false, 0},
      {"blocks_relative", {101, 48}, {}, 4, 2, 64, 5, 0, false, false, false, 32},
      {"blocks_prefix_alibi", {101, 48}, {}, 2, 2, 128, 30, 0, true, true},
  };
  return cases;
}

/// Operands and results of a case. Rows of k and v that belong to no sample lie between the samples (not in a
/// fused layout, where the rows are the tokens); results start as the mark 77, which no kernel may leave or
/// touch wrongly.
template <class T>
struct AttentionData {
  static constexpr T kMark = 77;

  explicit AttentionData(const AttentionCase& c) : shape(c), q_bounds(bounds_of(c.queries)) {
    const std::vector<int32_t>& keys = c.keys.empty() ? c.queries : c.keys;
    int32_t row = 0;
    for (size_t s = 0; s < keys.size(); ++s) {
      if (!c.fused) row += 2;
      kv_begin.push_back(row);
      row += keys[s];
      kv_end.push_back(row);
    }
    tokens = q_bounds.back();
    kv_rows = row;
    const int64_t D = c.head_dim, q_width = c.heads * D, kv_width = c.kv_heads * D;
    if (c.fused) {
      ldq = ldk = ldv = q_width + 2 * kv_width;
      q = random_vector<T>(tokens * ldq, "qkv");
      k_offset = static_cast<size_t>(q_width);
      v_offset = k_offset + static_cast<size_t>(kv_width);
    } else {
      ldq = q_width + 3;
      ldk = kv_width;
      ldv = kv_width + 1;
      q = random_vector<T>(tokens * ldq, "q");
      k = random_vector<T>(kv_rows * ldk, "k");
      v = random_vector<T>(kv_rows * ldv, "v");
    }
    ld_prefix = kv_width + 2;
    ldo = q_width + 1;
    prefix_k = random_vector<T>(c.prefix * ld_prefix, "prefix k");
    prefix_v = random_vector<T>(c.prefix * ld_prefix, "prefix v");
    dout = random_vector<T>(tokens * ldo, "dout");
    for (int64_t h = 0; c.alibi && h < c.heads; ++h)
      slopes.push_back(
          static_cast<T>(std::exp2(-8.0 * static_cast<double>(h + 1) / static_cast<double>(c.heads))));
    if (c.span >= 0) bias = random_vector<T>(c.heads * (2 * c.span + 1), "bias");
    clear();
  }

  void clear() {
    out.assign(static_cast<size_t>(tokens * ldo), kMark);
    lse.assign(static_cast<size_t>(tokens * shape.heads), kMark);
    dq.assign(q.size(), kMark);
    dk.assign(k.size(), kMark);
    dv.assign(v.size(), kMark);
    dprefix_k.assign(prefix_k.size(), 0);
    dprefix_v.assign(prefix_v.size(), 0);
    dbias.assign(bias.size(), 0);
  }

  AttentionArgs<T> args() {
    AttentionArgs<T> a;
    a.samples = static_cast<int32_t>(kv_begin.size());
    a.q_bounds = q_bounds.data();
    a.kv_begin = kv_begin.data();
    a.kv_end = kv_end.data();
    a.heads = shape.heads;
    a.kv_heads = shape.kv_heads;
    a.head_dim = shape.head_dim;
    a.q = q.data();
    a.k = shape.fused ? q.data() + k_offset : k.data();
    a.v = shape.fused ? q.data() + v_offset : v.data();
    a.ldq = ldq;
    a.ldk = ldk;
    a.ldv = ldv;
    a.prefix = shape.prefix;
    a.prefix_k = shape.prefix ? prefix_k.data() : nullptr;
    a.prefix_v = shape.prefix ? prefix_v.data() : nullptr;
    a.ld_prefix = ld_prefix;
    a.scale = static_cast<T>(1 / std::sqrt(static_cast<double>(shape.head_dim)));
    a.causal = shape.causal;
    a.window = shape.window;
    a.alibi_slopes = shape.alibi ? slopes.data() : nullptr;
    a.relative_bias = shape.span >= 0 ? bias.data() : nullptr;
    a.bias_span = std::max<int64_t>(shape.span, 0);
    a.out = out.data();
    a.ldo = ldo;
    a.lse = lse.data();
    return a;
  }
  AttentionGradArgs<T> grad_args() {
    AttentionGradArgs<T> g;
    g.forward = args();
    g.dout = dout.data();
    g.dq = dq.data();
    g.dk = shape.fused ? dq.data() + k_offset : dk.data();
    g.dv = shape.fused ? dq.data() + v_offset : dv.data();
    g.dprefix_k = shape.prefix ? dprefix_k.data() : nullptr;
    g.dprefix_v = shape.prefix ? dprefix_v.data() : nullptr;
    g.drelative_bias = shape.span >= 0 ? dbias.data() : nullptr;
    return g;
  }
  /// All results one after the other, for comparisons.
  std::vector<std::pair<std::string, const std::vector<T>*>> results() const {
    return {{"out", &out},
            {"lse", &lse},
            {"dq", &dq},
            {"dk", &dk},
            {"dv", &dv},
            {"dprefix_k", &dprefix_k},
            {"dprefix_v", &dprefix_v},
            {"dbias", &dbias}};
  }

  AttentionCase shape;
  std::vector<int32_t> q_bounds, kv_begin, kv_end;
  int64_t tokens = 0, kv_rows = 0, ldq = 0, ldk = 0, ldv = 0, ld_prefix = 0, ldo = 0;
  size_t k_offset = 0, v_offset = 0;
  std::vector<T> q, k, v, prefix_k, prefix_v, slopes, bias, dout;
  std::vector<T> out, lse, dq, dk, dv, dprefix_k, dprefix_v, dbias;
};

}  // namespace ft::test
