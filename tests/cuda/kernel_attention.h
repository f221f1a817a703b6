// Launches of attention: causal training plain, with a prefix, and with a trained bias; generation from a
// cache.
#pragma once

#include <cmath>

#include "engine/ops/attention.h"
#include "tests/cuda/kernel_launch.h"

namespace ft::bench {

template <class S, class T>
struct AttentionLaunches {
  static constexpr double e = sizeof(T), w = sizeof(Wide<T>);
  static double real(int64_t n) { return static_cast<double>(n); }

  static int64_t keys_of(const KernelShape& c) { return c.keys > 0 ? c.keys : c.tokens / c.samples; }
  /// Products of one length D over all visible pairs of a query and a key, and heads.
  static double pair_flops(const KernelShape& c) {
    const int64_t queries = c.tokens / c.samples, keys = keys_of(c);
    int64_t pairs = 0;
    for (int64_t i = 0; i < queries; ++i) pairs += c.prefix + keys - queries + i + 1;
    return 2 * real(c.samples * pairs * c.heads * c.head_dim);
  }
  static AttentionArgs<T> args(const KernelShape& c, Operands& o) {
    const int64_t rows = c.samples * keys_of(c), width = c.kv_heads * c.head_dim;
    AttentionArgs<T> a;
    a.samples = static_cast<int32_t>(c.samples);
    a.q_bounds = o.segments(c.tokens, c.samples).bounds;
    a.kv_begin = o.sequence(c.samples, keys_of(c));
    a.kv_end = o.sequence(c.samples, keys_of(c), keys_of(c));
    a.heads = c.heads;
    a.kv_heads = c.kv_heads;
    a.head_dim = c.head_dim;
    a.ldq = a.ldo = c.heads * c.head_dim;
    a.ldk = a.ldv = a.ld_prefix = width;
    a.q = o.numbers<T>(c.tokens * a.ldq);
    a.k = o.numbers<T>(rows * width);
    a.v = o.numbers<T>(rows * width);
    a.prefix = c.prefix;
    a.prefix_k = o.numbers<T>(c.prefix * width);
    a.prefix_v = o.numbers<T>(c.prefix * width);
    a.scale = static_cast<Wide<T>>(1 / std::sqrt(real(c.head_dim)));
    a.out = o.zeros<T>(c.tokens * a.ldo);
    a.lse = o.numbers<Wide<T>>(c.tokens * c.heads, 0.1f, 4);  // of the order that a forward leaves
    return a;
  }
  static Launch<S> forward(const KernelShape& c, Operands& o) {
    const AttentionArgs<T> a = args(c, o);
    const double queries = real(c.tokens * c.heads * c.head_dim),
                 keys = real((c.samples * keys_of(c) + c.prefix) * c.kv_heads * c.head_dim);
    return {{(2 * queries + 2 * keys) * e + real(c.tokens * c.heads) * w, 2 * pair_flops(c)},
            [a](S& s) { attention(s, a); }};
  }
  static Launch<S> grad(const KernelShape& c, Operands& o) {
    AttentionGradArgs<T> g;
    g.forward = args(c, o);
    const int64_t rows = c.samples * keys_of(c), width = c.kv_heads * c.head_dim;
    g.dout = o.numbers<T>(c.tokens * g.forward.ldo);
    g.dq = o.zeros<T>(c.tokens * g.forward.ldq);
    g.dk = o.zeros<T>(rows * width);
    g.dv = o.zeros<T>(rows * width);
    if (c.prefix > 0) {
      g.dprefix_k = o.zeros<T>(c.prefix * width);
      g.dprefix_v = o.zeros<T>(c.prefix * width);
    }
    if (c.variant == "bias by distance") {
      g.forward.bias_span = 127;  // T5's, read and written
      const int64_t size = c.heads * (2 * g.forward.bias_span + 1);
      g.forward.relative_bias = o.numbers<Wide<T>>(size);
      g.drelative_bias = o.zeros<Wide<T>>(size);
    }
    const double queries = real(c.tokens * c.heads * c.head_dim);
    return {{(4 * queries + real((4 * rows + 6 * c.prefix) * width)) * e + real(c.tokens * c.heads) * w,
             5 * pair_flops(c)},
            [g](S& s) { attention_grad(s, g); }};
  }
};

template <class S, class T>
Makers<S> attention_makers() {
  using L = AttentionLaunches<S, T>;
  return {{"attention", L::forward}, {"attention_grad", L::grad}};
}

}  // namespace ft::bench
