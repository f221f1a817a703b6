// The thin products around the packed one. Dropped copies of x and of du A are made one term at a time; every
// product streams its operands through cache once, so there is little that fusing would save here.
#include "engine/ops/low_rank_linear.h"

#include "engine/core/tensor.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/low_rank.h"

namespace ft {
namespace {

template <class T>
Tensor wide_copy(int64_t tokens, int64_t cols) {
  return Tensor::empty({tokens, cols}, dtype_of<T>, MemoryClass::workspace);
}

template <class T>
void drop(CpuStream& s, const LowRankTermArgs<T>& t, int64_t tokens, int64_t cols, IndexView row,
          IndexView position, const T* x, T* y, bool accumulate) {
  dropout(s, DropoutArgs<T>{.tokens = tokens,
                            .cols = cols,
                            .x = x,
                            .y = y,
                            .accumulate = accumulate,
                            .p = t.dropout,
                            .key = t.dropout_key,
                            .site = t.dropout_site,
                            .row = row,
                            .position = position});
}

template <class T>
void forward(CpuStream& s, const LowRankLinearArgs<T>& a) {
  const int64_t in = a.w.cols, out = a.w.rows;
  matmul(s, MatmulArgs<T>{
                .tokens = a.tokens, .w = a.w, .x = a.x, .ldx = in, .bias = a.bias, .y = a.y, .ldy = out});
  for (const LowRankTermArgs<T>& t : a.terms) {
    const int64_t tokens = t.end < 0 ? a.tokens : t.end - t.begin;
    const T* x = a.x + t.begin * in;
    Tensor dropped;
    if (t.dropout > 0) {
      dropped = wide_copy<T>(a.tokens, in);
      drop(s, t, a.tokens, in, a.row, a.position, a.x, dropped.data<T>(), false);
      x = dropped.data<T>();
    }
    low_rank_down(s,
                  LowRankDownArgs<T>{
                      .tokens = tokens, .rank = t.rank, .cols = in, .x = x, .ldx = in, .w = t.a, .u = t.u});
    low_rank_up(s, LowRankUpArgs<T>{.tokens = tokens,
                                    .rank = t.rank,
                                    .cols = out,
                                    .u = t.u,
                                    .w = t.b_t,
                                    .scale = t.scale,
                                    .y = a.y + t.begin * out,
                                    .ldy = out});
  }
}

template <class T>
void backward(CpuStream& s, const LowRankLinearGradArgs<T>& a) {
  const int64_t tokens = a.segments.tokens(), in = a.w.cols, out = a.w.rows;
  if (a.dx)
    matmul_grad_input(s, MatmulGradInputArgs<T>{.tokens = tokens,
                                                .w = a.w,
                                                .dy = a.dy,
                                                .ldy = out,
                                                .dx = a.dx,
                                                .ldx = in,
                                                .accumulate = a.accumulate});
  for (const LowRankTermArgs<T>& t : a.terms) {
    if (!a.dx && !t.da && !t.db_t) continue;
    const bool masked = t.dropout > 0;
    Tensor wide = masked && (a.dx || t.da) ? wide_copy<T>(tokens, in) : Tensor();
    low_rank_down(s, LowRankDownArgs<T>{.tokens = tokens,
                                        .rank = t.rank,
                                        .cols = out,
                                        .x = a.dy,
                                        .ldx = out,
                                        .w = t.b_t,
                                        .scale = t.scale,
                                        .u = t.du});
    if (t.da) {
      if (masked) drop(s, t, tokens, in, a.row, a.position, a.x, wide.data<T>(), false);
      low_rank_grad(s, LowRankGradArgs<T>{.segments = a.segments,
                                          .rank = t.rank,
                                          .cols = in,
                                          .u = t.du,
                                          .x = masked ? wide.data<T>() : a.x,
                                          .ldx = in,
                                          .dw = t.da});
    }
    if (t.db_t)
      low_rank_grad(s, LowRankGradArgs<T>{.segments = a.segments,
                                          .rank = t.rank,
                                          .cols = out,
                                          .u = t.u,
                                          .x = a.dy,
                                          .ldx = out,
                                          .scale = t.scale,
                                          .dw = t.db_t});
    if (!a.dx) continue;
    low_rank_up(s, LowRankUpArgs<T>{.tokens = tokens,
                                    .rank = t.rank,
                                    .cols = in,
                                    .u = t.du,
                                    .w = t.a,
                                    .y = masked ? wide.data<T>() : a.dx,
                                    .ldy = in,
                                    .accumulate = !masked});
    if (masked) drop(s, t, tokens, in, a.row, a.position, wide.data<T>(), a.dx, true);
  }
}

}  // namespace

void low_rank_linear(CpuStream& s, const LowRankLinearArgs<float>& a) {
  forward(s, a);
}
void low_rank_linear(CpuStream& s, const LowRankLinearArgs<double>& a) {
  forward(s, a);
}
void low_rank_linear_grad(CpuStream& s, const LowRankLinearGradArgs<float>& a) {
  backward(s, a);
}
void low_rank_linear_grad(CpuStream& s, const LowRankLinearGradArgs<double>& a) {
  backward(s, a);
}

}  // namespace ft
