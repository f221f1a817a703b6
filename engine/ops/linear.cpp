#include "engine/ops/linear.h"

#include "engine/ops/elementwise.h"
#include "engine/ops/low_rank.h"
#include "engine/ops/matmul.h"

namespace ft {
namespace {

bool low_rank_trainable(const LowRankTerm& t) {
  return t.a->trainable || t.b_t->trainable;
}

// dropout(x) of a term, or x itself. With `like`, the same mask on another tensor, added to `into`.
Tensor masked(Tape& tape, const Tensor& x, const LowRankTerm& t, const RowIndex& rows,
              const Gradient::Slot* into = nullptr) {
  Tensor y = into ? into->grad : Tensor::empty(x.shape(), x.dtype(), MemoryClass::workspace, x.device());
  launch(tape.stream(), x.dtype(), [&]<class T>(auto& s) {
    dropout(s, DropoutArgs<T>{.tokens = x.dim(0),
                              .cols = x.dim(1),
                              .x = x.data<T>(),
                              .y = y.data<T>(),
                              .accumulate = into && into->accumulate,
                              .p = t.dropout,
                              .key = t.dropout_key,
                              .site = t.dropout_site,
                              .row = rows.row,
                              .position = rows.position});
  });
  return y;
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
  launch(tape.stream(), x.dtype(), [&]<class T>(auto& s) {
    matmul(s, MatmulArgs<T>{.tokens = tokens,
                            .w = w.weight->packed(),
                            .x = x.data<T>(),
                            .ldx = in,
                            .bias = w.bias ? w.bias->value.data<Wide<T>>() : nullptr,
                            .y = y.data<T>(),
                            .ldy = out});
  });
  for (const LowRankTerm& t : w.low_rank) {
    const int64_t rank = t.a->shape[0];
    const Tensor input = t.dropout > 0 ? masked(tape, x, t, rows) : x;
    const Tensor thin = Tensor::empty({tokens, rank}, x.dtype(), MemoryClass::activations, x.device());
    launch(tape.stream(), x.dtype(), [&]<class T>(auto& s) {
      low_rank_down(s, LowRankDownArgs<T>{.tokens = tokens,
                                          .rank = rank,
                                          .cols = in,
                                          .x = input.data<T>(),
                                          .ldx = in,
                                          .w = t.a->value.data<Wide<T>>(),
                                          .u = thin.data<T>()});
      low_rank_up(s, LowRankUpArgs<T>{.tokens = tokens,
                                      .rank = rank,
                                      .cols = out,
                                      .u = thin.data<T>(),
                                      .w = t.b_t->value.data<Wide<T>>(),
                                      .scale = static_cast<Wide<T>>(t.scale),
                                      .y = y.data<T>(),
                                      .ldy = out});
    });
    if (u) u->push_back(thin);
  }
  return y;
}

void linear_backward(Tape& tape, const LinearWeights& w, const RowIndex& rows, const Tensor& x,
                     const std::vector<Tensor>& u, const Tensor& dy, const Gradient::Slot* dx) {
  const int64_t tokens = dy.dim(0), in = w.in(), out = w.out();
  Stream& stream = tape.stream();
  if (dx) {
    launch(stream, dy.dtype(), [&]<class T>(auto& s) {
      matmul_grad_input(s, MatmulGradInputArgs<T>{.tokens = tokens,
                                                  .w = w.weight->packed(),
                                                  .dy = dy.data<T>(),
                                                  .ldy = out,
                                                  .dx = dx->grad.data<T>(),
                                                  .ldx = in,
                                                  .accumulate = dx->accumulate});
    });
  }
  for (size_t i = 0; i < w.low_rank.size(); ++i) {
    const LowRankTerm& t = w.low_rank[i];
    if (!dx && !low_rank_trainable(t)) continue;
    const int64_t rank = t.a->shape[0];
    const Tensor du = Tensor::empty({tokens, rank}, dy.dtype(), MemoryClass::workspace, dy.device());
    const Tensor input = t.dropout > 0 && t.a->trainable ? masked(tape, x, t, rows) : x;
    const bool masked_dx = dx && t.dropout > 0;
    const Tensor dinput = masked_dx
                              ? Tensor::empty({tokens, in}, dy.dtype(), MemoryClass::workspace, dy.device())
                          : dx ? dx->grad
                               : Tensor();
    launch(stream, dy.dtype(), [&]<class T>(auto& s) {
      low_rank_down(s, LowRankDownArgs<T>{.tokens = tokens,
                                          .rank = rank,
                                          .cols = out,
                                          .x = dy.data<T>(),
                                          .ldx = out,
                                          .w = t.b_t->value.data<Wide<T>>(),
                                          .scale = static_cast<Wide<T>>(t.scale),
                                          .u = du.data<T>()});
      if (t.a->trainable)
        low_rank_grad(s, LowRankGradArgs<T>{.segments = rows.segments,
                                            .rank = rank,
                                            .cols = in,
                                            .u = du.data<T>(),
                                            .x = input.data<T>(),
                                            .ldx = in,
                                            .dw = t.a->grad.data<Wide<T>>()});
      if (t.b_t->trainable)
        low_rank_grad(s, LowRankGradArgs<T>{.segments = rows.segments,
                                            .rank = rank,
                                            .cols = out,
                                            .u = u[i].data<T>(),
                                            .x = dy.data<T>(),
                                            .ldx = out,
                                            .scale = static_cast<Wide<T>>(t.scale),
                                            .dw = t.b_t->grad.data<Wide<T>>()});
      if (dx)
        low_rank_up(s, LowRankUpArgs<T>{.tokens = tokens,
                                        .rank = rank,
                                        .cols = in,
                                        .u = du.data<T>(),
                                        .w = t.a->value.data<Wide<T>>(),
                                        .y = dinput.data<T>(),
                                        .ldy = in,
                                        .accumulate = !masked_dx});
    });
    if (masked_dx) {
      const Gradient::Slot into{dx->grad, true};
      masked(tape, dinput, t, rows, &into);
    }
  }
  launch(stream, dy.dtype(), [&]<class T>(auto& s) {
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
