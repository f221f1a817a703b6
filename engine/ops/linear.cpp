#include "engine/ops/linear.h"

#include "engine/ops/elementwise.h"
#include "engine/ops/low_rank_linear.h"
#include "engine/ops/matmul.h"

namespace ft {
namespace {

bool low_rank_trainable(const LowRankTerm& t) {
  return t.a->trainable || t.b_t->trainable;
}

Tensor thin(int64_t tokens, const LowRankTerm& t, const Tensor& like, MemoryClass memory) {
  return Tensor::empty({tokens, t.a->shape[0]}, like.dtype(), memory, like.device());
}

template <class T>
LowRankTermArgs<T> arguments(const LowRankTerm& t) {
  return {.rank = t.a->shape[0],
          .a = t.a->value.data<Wide<T>>(),
          .b_t = t.b_t->value.data<Wide<T>>(),
          .scale = static_cast<Wide<T>>(t.scale),
          .dropout = t.dropout,
          .dropout_key = t.dropout_key,
          .dropout_site = t.dropout_site,
          .begin = t.begin,
          .end = t.end};
}

}  // namespace

bool LinearWeights::trainable() const {
  if (weight->trainable || (bias && bias->trainable)) return true;
  for (const LowRankTerm& t : low_rank)
    if (low_rank_trainable(t)) return true;
  return false;
}

Tensor linear_forward(Tape& tape, const Tensor& x, const LinearWeights& w, const RowIndex& rows,
                      std::vector<Tensor>* u) {
  const int64_t tokens = x.dim(0), in = w.in(), out = w.out();
  FT_CHECK(x.dim(1) == in, "[linear] {}: expected {} input features, got {}", w.weight->name, in, x.dim(1));
  const Tensor y = Tensor::empty({tokens, out}, x.dtype(), MemoryClass::activations, x.device());
  std::vector<Tensor> thins;
  for (const LowRankTerm& t : w.low_rank)
    thins.push_back(thin(t.end < 0 ? tokens : t.end - t.begin, t, x, MemoryClass::activations));
  launch(tape.stream(), x.dtype(), [&]<class T>(auto& s) {
    std::vector<LowRankTermArgs<T>> terms;
    for (size_t i = 0; i < thins.size(); ++i) {
      terms.push_back(arguments<T>(w.low_rank[i]));
      terms[i].u = thins[i].data<T>();
    }
    low_rank_linear(s, LowRankLinearArgs<T>{.tokens = tokens,
                                            .w = w.weight->packed(),
                                            .x = x.data<T>(),
                                            .bias = w.bias ? w.bias->value.data<Wide<T>>() : nullptr,
                                            .y = y.data<T>(),
                                            .row = rows.row,
                                            .position = rows.position,
                                            .terms = terms});
  });
  if (u) u->insert(u->end(), thins.begin(), thins.end());
  return y;
}

void linear_backward(Tape& tape, const LinearWeights& w, const RowIndex& rows, const Tensor& x,
                     const std::vector<Tensor>& u, const Tensor& dy, const Gradient::Slot* dx) {
  const int64_t tokens = dy.dim(0), in = w.in(), out = w.out();
  std::vector<Tensor> du;
  for (const LowRankTerm& t : w.low_rank)
    FT_CHECK(t.end < 0, "[linear] {}: expected terms of all rows in backward, got one of rows up to {}",
             w.weight->name, t.end);
  for (const LowRankTerm& t : w.low_rank) du.push_back(thin(tokens, t, dy, MemoryClass::workspace));
  launch(tape.stream(), dy.dtype(), [&]<class T>(auto& s) {
    std::vector<LowRankTermArgs<T>> terms;
    for (size_t i = 0; i < du.size(); ++i) {
      const LowRankTerm& t = w.low_rank[i];
      LowRankTermArgs<T>& a = terms.emplace_back(arguments<T>(t));
      a.u = u[i].data<T>();
      a.du = du[i].data<T>();
      if (t.a->trainable) a.da = t.a->grad.data<Wide<T>>();
      if (t.b_t->trainable) a.db_t = t.b_t->grad.data<Wide<T>>();
    }
    low_rank_linear_grad(s, LowRankLinearGradArgs<T>{.segments = rows.segments,
                                                     .w = w.weight->packed(),
                                                     .x = x.defined() ? x.data<T>() : nullptr,
                                                     .dy = dy.data<T>(),
                                                     .dx = dx ? dx->grad.data<T>() : nullptr,
                                                     .accumulate = dx && dx->accumulate,
                                                     .row = rows.row,
                                                     .position = rows.position,
                                                     .terms = terms});
    if (w.weight->trainable)
      matmul_grad_weight(s, MatmulGradWeightArgs<T>{.segments = rows.segments,
                                                    .rows = out,
                                                    .cols = in,
                                                    .dy = dy.data<T>(),
                                                    .ldy = out,
                                                    .x = x.data<T>(),
                                                    .ldx = in,
                                                    .dw = w.weight->grad.data<Wide<T>>()});
    if (w.bias && w.bias->trainable)
      column_sum(s, ColumnSumArgs<T>{.segments = rows.segments,
                                     .cols = out,
                                     .x = dy.data<T>(),
                                     .ld = out,
                                     .out = w.bias->grad.data<Wide<T>>()});
  });
}

Var linear(Tape& tape, const Var& x, LinearWeights w) {
  const bool wanted = tape.wants(x, w.trainable());
  std::vector<Tensor> u;
  const Var y(linear_forward(tape, x.value(), w, tape.index(), wanted ? &u : nullptr), wanted);
  if (!wanted) return y;
  bool needs_input = w.weight->trainable;
  for (const LowRankTerm& t : w.low_rank) needs_input |= t.a->trainable;
  tape.record(y.gradient(), [&tape, x = needs_input ? x.value() : Tensor(), dx = x.gradient(),
                             dy = y.gradient(), w = std::move(w), u = std::move(u)] {
    const Gradient::Slot slot = dx ? dx.slot() : Gradient::Slot();
    linear_backward(tape, w, tape.index(), x, u, dy.sum(), dx ? &slot : nullptr);
  });
  return y;
}

}  // namespace ft
