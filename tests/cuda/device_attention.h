// A case of attention on the device: its operands there, the arguments, and the way back.
#pragma once

#include <vector>

#include "tests/cuda/bf16.h"
#include "tests/cuda/device_vector.h"
#include "tests/ops/attention_cases.h"
#include "tests/ops/op_test.h"

namespace ft::test {

inline std::vector<float> as_float(const std::vector<float>& v) {
  return v;
}
template <class T>
std::vector<float> as_float(const std::vector<T>& v) {
  std::vector<float> out;
  for (const T x : v) out.push_back(to_float(x));
  return out;
}

/// A case's operands and results on the device, activations in T.
template <class T>
struct DeviceAttention {
  explicit DeviceAttention(AttentionData<float>& x)
      : host(x),
        q_bounds(x.q_bounds),
        kv_begin(x.kv_begin),
        kv_end(x.kv_end),
        q(as_type<T>(x.q)),
        k(as_type<T>(x.k)),
        v(as_type<T>(x.v)),
        prefix_k(as_type<T>(x.prefix_k)),
        prefix_v(as_type<T>(x.prefix_v)),
        dout(as_type<T>(x.dout)),
        out(as_type<T>(x.out)),
        dq(as_type<T>(x.dq)),
        dk(as_type<T>(x.dk)),
        dv(as_type<T>(x.dv)),
        dprefix_k(as_type<T>(x.dprefix_k)),
        dprefix_v(as_type<T>(x.dprefix_v)),
        lse(x.lse),
        slopes(x.slopes),
        bias(x.bias),
        dbias(x.dbias) {}

  AttentionArgs<T> args() {
    const AttentionArgs<float> on_host = host.args();
    AttentionArgs<T> a;
    a.samples = on_host.samples;
    a.q_bounds = q_bounds.view();
    a.kv_begin = kv_begin.view();
    a.kv_end = kv_end.view();
    a.heads = on_host.heads;
    a.kv_heads = on_host.kv_heads;
    a.head_dim = on_host.head_dim;
    a.q = q.data();
    a.k = host.shape.fused ? q.data() + host.k_offset : k.data();
    a.v = host.shape.fused ? q.data() + host.v_offset : v.data();
    a.ldq = host.ldq;
    a.ldk = host.ldk;
    a.ldv = host.ldv;
    a.prefix = on_host.prefix;
    a.prefix_k = prefix_k.data();
    a.prefix_v = prefix_v.data();
    a.ld_prefix = host.ld_prefix;
    a.scale = on_host.scale;
    a.causal = on_host.causal;
    a.window = on_host.window;
    a.alibi_slopes = on_host.alibi_slopes ? slopes.data() : nullptr;
    a.relative_bias = on_host.relative_bias ? bias.data() : nullptr;
    a.bias_span = on_host.bias_span;
    a.out = out.data();
    a.ldo = host.ldo;
    a.lse = lse.data();
    return a;
  }
  AttentionGradArgs<T> grad_args() {
    AttentionGradArgs<T> g;
    g.forward = args();
    g.dout = dout.data();
    g.dq = dq.data();
    g.dk = host.shape.fused ? dq.data() + host.k_offset : dk.data();
    g.dv = host.shape.fused ? dq.data() + host.v_offset : dv.data();
    g.dprefix_k = host.shape.prefix ? dprefix_k.data() : nullptr;
    g.dprefix_v = host.shape.prefix ? dprefix_v.data() : nullptr;
    g.drelative_bias = host.shape.span >= 0 ? dbias.data() : nullptr;
    return g;
  }
  /// Brings the results to the host's case.
  void download() {
    host.out = as_float(out.host());
    host.lse = lse.host();
    host.dq = as_float(dq.host());
    host.dk = as_float(dk.host());
    host.dv = as_float(dv.host());
    host.dprefix_k = as_float(dprefix_k.host());
    host.dprefix_v = as_float(dprefix_v.host());
    host.dbias = dbias.host();
  }

  AttentionData<float>& host;
  DeviceIndex q_bounds, kv_begin, kv_end;
  DeviceVector<T> q, k, v, prefix_k, prefix_v, dout, out, dq, dk, dv, dprefix_k, dprefix_v;
  DeviceVector<float> lse, slopes, bias, dbias;
};

/// Forward and backward on the device in T; the results replace the case's.
template <class T>
void run(AttentionData<float>& x, bool backward = true) {
  DeviceAttention<T> device(x);
  attention(cuda_stream(), device.args());
  if (backward) attention_grad(cuda_stream(), device.grad_args());
  device.download();
}

/// Every row starts at a multiple of 16 bytes, where the head size allows it.
inline AttentionData<float> aligned(const AttentionCase& c) {
  AttentionData<float> x(c);
  const int64_t q_width = c.heads * c.head_dim, kv_width = c.kv_heads * c.head_dim;
  if (!c.fused) {
    x.ldq = q_width + 8;
    x.ldk = kv_width;
    x.ldv = kv_width + 16;
    x.q = random_vector<float>(x.tokens * x.ldq, "q");
    x.v = random_vector<float>(x.kv_rows * x.ldv, "v");
  }
  x.ldo = q_width + 8;
  x.ld_prefix = kv_width + 8;
  x.dout = random_vector<float>(x.tokens * x.ldo, "dout");
  x.prefix_k = random_vector<float>(c.prefix * x.ld_prefix, "prefix k");
  x.prefix_v = random_vector<float>(c.prefix * x.ld_prefix, "prefix v");
  x.clear();
  return x;
}

/// Every operand becomes what T, of 16 bits, holds.
template <class T>
void round_inputs(AttentionData<float>& x) {
  for (std::vector<float>* v : {&x.q, &x.k, &x.v, &x.prefix_k, &x.prefix_v, &x.dout})
    for (float& f : *v) f = to_float(to_type<T>(f));
}

}  // namespace ft::test
