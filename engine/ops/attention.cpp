#include "engine/ops/attention.h"

#include "engine/autograd/tape.h"
#include "engine/ops/head_columns.h"

namespace ft {
namespace {

struct Operands {
  Tensor q, k, v, prefix_k, prefix_v, relative_bias, out, lse;
  int64_t q_column = 0, k_column = 0, v_column = 0, prefix_k_column = 0, prefix_v_column = 0;
};

template <class T>
AttentionArgs<T> arguments(const Operands& t, const Segments& queries, IndexView kv_begin, IndexView kv_end,
                           const AttentionOptions& o) {
  AttentionArgs<T> a;
  a.samples = queries.count;
  a.q_bounds = queries.bounds;
  a.kv_begin = kv_begin;
  a.kv_end = kv_end;
  a.heads = o.heads;
  a.kv_heads = o.kv_heads;
  a.head_dim = o.head_dim;
  a.q = t.q.data<T>() + t.q_column;
  a.k = t.k.data<T>() + t.k_column;
  a.v = t.v.data<T>() + t.v_column;
  a.ldq = t.q.dim(1);
  a.ldk = t.k.dim(1);
  a.ldv = t.v.dim(1);
  if (t.prefix_k.defined()) {
    a.prefix = t.prefix_k.dim(0);
    a.prefix_k = t.prefix_k.data<T>() + t.prefix_k_column;
    a.prefix_v = t.prefix_v.data<T>() + t.prefix_v_column;
    a.ld_prefix = t.prefix_k.dim(1);
  }
  a.scale = static_cast<Wide<T>>(o.scale);
  a.causal = o.causal;
  a.window = o.window;
  a.alibi_slopes = o.alibi_slopes.defined() ? o.alibi_slopes.data<Wide<T>>() : nullptr;
  if (t.relative_bias.defined()) {
    a.relative_bias = t.relative_bias.data<Wide<T>>();
    a.bias_span = t.relative_bias.dim(1) / 2;
  }
  a.out = t.out.data<T>();
  a.ldo = t.out.dim(1);
  a.lse = t.lse.defined() ? t.lse.data<Wide<T>>() : nullptr;
  return a;
}

bool same(const HeadColumns& a, const HeadColumns& b) {
  return a.var.value().raw() == b.var.value().raw();
}

}  // namespace

Var attention(Tape& tape, const HeadColumns& q, const HeadColumns& k, const HeadColumns& v,
              const HeadColumns* prefix_k, const HeadColumns* prefix_v, const AttentionOptions& o,
              const Var* relative_bias) {
  const Tensor& x = q.var.value();
  const int64_t tokens = x.dim(0);
  const bool prefixed = prefix_k != nullptr;
  const bool wanted = tape.wants(q.var, k.var, v.var) ||
                      (prefixed && tape.wants(prefix_k->var, prefix_v->var)) ||
                      (relative_bias && tape.wants(*relative_bias));
  if (prefixed)
    FT_CHECK(prefix_k->var.value().dim(1) == prefix_v->var.value().dim(1),
             "[attention] expected a prefix of one row stride, got {} and {}", prefix_k->var.value().dim(1),
             prefix_v->var.value().dim(1));
  Operands t{
      .q = x,
      .k = k.var.value(),
      .v = v.var.value(),
      .prefix_k = prefixed ? prefix_k->var.value() : Tensor(),
      .prefix_v = prefixed ? prefix_v->var.value() : Tensor(),
      .relative_bias = relative_bias ? relative_bias->value() : Tensor(),
      .out = Tensor::empty({tokens, o.heads * o.head_dim}, x.dtype(), MemoryClass::activations, x.device()),
      .lse = wanted ? Tensor::empty({tokens, o.heads}, tape.wide(), MemoryClass::activations, x.device())
                    : Tensor(),
      .q_column = q.column,
      .k_column = k.column,
      .v_column = v.column,
      .prefix_k_column = prefixed ? prefix_k->column : 0,
      .prefix_v_column = prefixed ? prefix_v->column : 0};
  const auto run = [&tape, o](const Operands& operands, auto&& kernel) {
    const Segments& samples = tape.index().segments;
    launch(tape.stream(), operands.q.dtype(), [&]<class T>(auto& s) {
      kernel(s, arguments<T>(operands, samples, samples.bounds, samples.bounds.from(1), o));
    });
  };
  run(t, [](auto& s, const auto& a) { attention(s, a); });
  const Var y(t.out, wanted);
  if (!wanted) return y;

  const bool fused = same(q, k) && same(k, v), one_prefix = prefixed && same(*prefix_k, *prefix_v);
  FT_CHECK(!fused || !q.var.requires_grad() ||
               (q.column != k.column && k.column != v.column && v.column != q.column),
           "[attention] expected q, k and v to be parts of one value or three values, got overlapping parts");
  tape.record(y.gradient(), [&tape, run, o, fused, one_prefix, t = std::move(t), dq = q.var.gradient(),
                             dk = k.var.gradient(), dv = v.var.gradient(),
                             dpk = prefixed ? prefix_k->var.gradient() : Gradient(),
                             dpv = prefixed ? prefix_v->var.gradient() : Gradient(),
                             dbias = relative_bias ? relative_bias->gradient() : Gradient(),
                             dy = y.gradient()] {
    const auto fresh = [](const Tensor& like) {
      return Tensor::empty(like.shape(), like.dtype(), MemoryClass::activations, like.device());
    };
    // A fused q|k|v is covered whole by the three parts: one buffer takes all of them.
    const Tensor gq = fresh(t.q), gk = fused ? gq : fresh(t.k), gv = fused ? gq : fresh(t.v);
    const auto zeroed_slot = [&](const Gradient& g) {
      Gradient::Slot slot = g.slot();
      if (!slot.accumulate) slot.grad.zero();
      return slot.grad;
    };
    // Keys and values of a prefix may be columns of one value (prefix tuning), whose gradient is one buffer.
    const Tensor gpk = dpk ? zeroed_slot(dpk) : Tensor(), gpv = !dpv         ? Tensor()
                                                                : one_prefix ? gpk
                                                                             : zeroed_slot(dpv);
    const Tensor gbias = dbias ? zeroed_slot(dbias) : Tensor();
    run(t, [&]<class T>(auto& s, const AttentionArgs<T>& a) {
      attention_grad(
          s, AttentionGradArgs<T>{.forward = a,
                                  .dout = dy.sum().data<T>(),
                                  .dq = gq.data<T>() + t.q_column,
                                  .dk = gk.data<T>() + t.k_column,
                                  .dv = gv.data<T>() + t.v_column,
                                  .dprefix_k = gpk.defined() ? gpk.data<T>() + t.prefix_k_column : nullptr,
                                  .dprefix_v = gpv.defined() ? gpv.data<T>() + t.prefix_v_column : nullptr,
                                  .drelative_bias = gbias.defined() ? gbias.data<Wide<T>>() : nullptr});
    });
    if (dq) dq.add(tape.stream(), gq);
    if (!fused && dk) dk.add(tape.stream(), gk);
    if (!fused && dv) dv.add(tape.stream(), gv);
  });
  return y;
}

Tensor cached_attention(Tape& tape, const HeadColumns& q, const Tensor& k, const Tensor& v,
                        const std::vector<int32_t>& kv_begin, const std::vector<int32_t>& kv_end,
                        const AttentionOptions& o, const Tensor& relative_bias) {
  const Tensor& x = q.var.value();
  const Operands t{
      .q = x,
      .k = k,
      .v = v,
      .prefix_k = {},
      .prefix_v = {},
      .relative_bias = relative_bias,
      .out = Tensor::empty({x.dim(0), o.heads * o.head_dim}, x.dtype(), MemoryClass::activations, x.device()),
      .lse = {},
      .q_column = q.column};
  const IndexView begin = tape.upload(kv_begin), end = tape.upload(kv_end);
  launch(tape.stream(), x.dtype(), [&]<class T>(auto& s) {
    AttentionArgs<T> a = arguments<T>(t, tape.index().segments, begin, end, o);
    a.kv_end_is_most = tape.is_placed();
    attention(s, a);
  });
  return t.out;
}

}  // namespace ft
