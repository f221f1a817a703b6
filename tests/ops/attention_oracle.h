// Attention and its gradient by the textbook: whole rows of scores, plain loops, no vectors.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "engine/ops/attention.h"

namespace ft::test {

/// Calls f(token, head, key head, own, keys) for every query row and head. `keys` lists what the row sees; a
/// key's `row` is its row in k and v, or −1 − j for prefix row j. `position` and `own`, the query's own
/// place, are counted from the first prefix row.
template <class T, class F>
void for_each_row(const AttentionArgs<T>& a, F&& f) {
  struct Key {
    const T *k, *v;
    int64_t row, position;
  };
  for (int32_t s = 0; s < a.samples; ++s) {
    const int64_t n_q = a.q_bounds[s + 1] - a.q_bounds[s], n_kv = a.kv_end[s] - a.kv_begin[s];
    for (int64_t h = 0; h < a.heads; ++h) {
      const int64_t kv = h / (a.heads / a.kv_heads), at = kv * a.head_dim;
      for (int64_t i = 0; i < n_q; ++i) {
        std::vector<Key> keys;
        for (int64_t j = 0; j < a.prefix; ++j)
          keys.push_back({a.prefix_k + j * a.ld_prefix + at, a.prefix_v + j * a.ld_prefix + at, -1 - j, j});
        const int64_t own = n_kv - n_q + i;
        for (int64_t j = 0; j < n_kv; ++j) {
          if (a.causal && j > own) continue;
          if (a.window > 0 && j <= own - a.window) continue;
          const int64_t row = a.kv_begin[s] + j;
          keys.push_back({a.k + row * a.ldk + at, a.v + row * a.ldv + at, row, a.prefix + j});
        }
        f(a.q_bounds[s] + i, h, kv, a.prefix + own, keys);
      }
    }
  }
}

template <class T>
int64_t bias_at(const AttentionArgs<T>& a, int64_t h, int64_t distance) {
  return h * (2 * a.bias_span + 1) + a.bias_span + std::clamp(distance, -a.bias_span, a.bias_span);
}

template <class T, class Keys>
std::vector<T> row_scores(const AttentionArgs<T>& a, int64_t token, int64_t h, int64_t own,
                          const Keys& keys) {
  std::vector<T> s;
  const T* q = a.q + token * a.ldq + h * a.head_dim;
  for (const auto& key : keys) {
    T x = 0;
    for (int64_t d = 0; d < a.head_dim; ++d) x += q[d] * key.k[d];
    x *= a.scale;
    if (a.alibi_slopes) x += a.alibi_slopes[h] * static_cast<T>(key.position - own);
    if (a.relative_bias) x += a.relative_bias[bias_at(a, h, key.position - own)];
    s.push_back(x);
  }
  return s;
}

template <class T>
void attention_oracle(const AttentionArgs<T>& a) {
  for_each_row(a, [&](int64_t token, int64_t h, int64_t, int64_t own, const auto& keys) {
    const std::vector<T> s = row_scores(a, token, h, own, keys);
    T* out = a.out + token * a.ldo + h * a.head_dim;
    T max = -std::numeric_limits<T>::infinity(), sum = 0;
    for (const T x : s) max = std::max(max, x);
    std::fill_n(out, a.head_dim, T{0});
    for (size_t j = 0; j < s.size(); ++j) {
      const T p = std::exp(s[j] - max);
      sum += p;
      for (int64_t d = 0; d < a.head_dim; ++d) out[d] += p * keys[j].v[d];
    }
    for (int64_t d = 0; d < a.head_dim && !s.empty(); ++d) out[d] /= sum;
    a.lse[token * a.heads + h] = s.empty() ? max : max + std::log(sum);
  });
}

/// From the forward's out and lse; dk, dv and dq are overwritten, the gradients of prefix and bias added to.
template <class T>
void attention_grad_oracle(const AttentionGradArgs<T>& g) {
  const AttentionArgs<T>& a = g.forward;
  for (int32_t s = 0; s < a.samples; ++s)
    for (int64_t row = a.kv_begin[s]; row < a.kv_end[s]; ++row) {
      std::fill_n(g.dk + row * a.ldk, a.kv_heads * a.head_dim, T{0});
      std::fill_n(g.dv + row * a.ldv, a.kv_heads * a.head_dim, T{0});
    }
  for_each_row(a, [&](int64_t token, int64_t h, int64_t kv, int64_t own, const auto& keys) {
    const std::vector<T> s = row_scores(a, token, h, own, keys);
    const int64_t o_at = token * a.ldo + h * a.head_dim, at = kv * a.head_dim;
    const T *dout = g.dout + o_at, *out = a.out + o_at, *q = a.q + token * a.ldq + h * a.head_dim;
    T* dq = g.dq + token * a.ldq + h * a.head_dim;
    T delta = 0;
    for (int64_t d = 0; d < a.head_dim; ++d) delta += dout[d] * out[d];
    std::fill_n(dq, a.head_dim, T{0});
    for (size_t j = 0; j < s.size(); ++j) {
      const auto& key = keys[j];
      T* dk = key.row < 0 ? g.dprefix_k + (-1 - key.row) * a.ld_prefix + at : g.dk + key.row * a.ldk + at;
      T* dv = key.row < 0 ? g.dprefix_v + (-1 - key.row) * a.ld_prefix + at : g.dv + key.row * a.ldv + at;
      const T p = std::exp(s[j] - a.lse[token * a.heads + h]);
      T dp = 0;
      for (int64_t d = 0; d < a.head_dim; ++d) dp += dout[d] * key.v[d];
      if (g.drelative_bias) g.drelative_bias[bias_at(a, h, key.position - own)] += p * (dp - delta);
      const T ds = p * (dp - delta) * a.scale;
      for (int64_t d = 0; d < a.head_dim; ++d) {
        dv[d] += p * dout[d];
        dk[d] += ds * q[d];
        dq[d] += ds * key.k[d];
      }
    }
  });
}

}  // namespace ft::test
