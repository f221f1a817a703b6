#include "engine/ops/lstm.h"

#include <vector>

#include "engine/ops/linear.h"
#include "engine/ops/matmul.h"
#include "engine/ops/rows.h"

namespace ft {
namespace {

// One direction of a layer on its way: what the forward leaves for the backward.
struct Run {
  LstmDirection p;
  bool backwards = false;
  int64_t hidden = 0, column = 0;  // of y, where its h stand
  Tensor gates = {}, c = {};       // [tokens, 4H], [tokens, H]
};

/// f(token, before) along every sequence, `before` the token whose state comes in (−1: none); `last_first`
/// walks from the end.
template <class F>
void walk(const Layout& layout, bool backwards, bool last_first, F&& f) {
  for (int32_t s = 0; s < layout.samples(); ++s) {
    const int64_t begin = layout.bounds[s], end = layout.bounds[s + 1], count = end - begin;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t step = last_first ? count - 1 - i : i;
      const int64_t token = backwards ? end - 1 - step : begin + step;
      f(token, step == 0 ? -1 : backwards ? token + 1 : token - 1);
    }
  }
}

void forward(Tape& tape, const Tensor& x, Run& run, const Tensor& y) {
  const int64_t H = run.hidden, width = y.dim(1);
  run.gates = linear_forward(tape, x, {run.p.w_ih, run.p.b_ih, {}}, tape.index(), nullptr);
  run.c = Tensor::empty({x.dim(0), H}, tape.wide(), MemoryClass::activations, x.device());
  const Tensor zero = Tensor::zeros({H}, x.dtype(), MemoryClass::workspace, x.device());
  launch(tape.stream(), x.dtype(), [&]<class T>(auto& s) {
    walk(tape.layout(), run.backwards, false, [&](int64_t t, int64_t before) {
      T* gates = run.gates.data<T>() + t * 4 * H;
      matmul(s, MatmulArgs<T>{.tokens = 1,
                              .w = run.p.w_hh->packed(),
                              .x = before < 0 ? zero.data<T>() : y.data<T>() + before * width + run.column,
                              .ldx = H,
                              .bias = run.p.b_hh->value.data<Wide<T>>(),
                              .y = gates,
                              .ldy = 4 * H,
                              .accumulate = true});
      lstm_cell(s, LstmCellArgs<T>{.hidden = H,
                                   .gates = gates,
                                   .c_before = before < 0 ? nullptr : run.c.data<Wide<T>>() + before * H,
                                   .c = run.c.data<Wide<T>>() + t * H,
                                   .h = y.data<T>() + t * width + run.column});
    });
  });
}

/// The state that comes into each token [tokens, H], from the layer's y.
Tensor states_before(Tape& tape, const Run& run, const Tensor& y) {
  const Tensor h = Tensor::zeros({y.dim(0), run.hidden}, y.dtype(), MemoryClass::workspace, y.device());
  std::vector<int32_t> from, to;
  walk(tape.layout(), run.backwards, false, [&](int64_t t, int64_t before) {
    if (before < 0) return;
    from.push_back(static_cast<int32_t>(before));
    to.push_back(static_cast<int32_t>(t));
  });
  const IndexView source = tape.upload(from), target = tape.upload(to);
  launch(tape.stream(), y.dtype(), [&]<class T>(auto& s) {
    copy_rows(s, CopyRowsArgs<T>{.count = static_cast<int64_t>(from.size()),
                                 .cols = run.hidden,
                                 .x = y.data<T>() + run.column,
                                 .ldx = y.dim(1),
                                 .y = h.data<T>(),
                                 .ldy = run.hidden,
                                 .from = source,
                                 .to = target});
  });
  return h;
}

/// The gradient of the gates' sums a [tokens, 4H].
Tensor gate_gradients(Tape& tape, const Run& run, const Tensor& dy) {
  const int64_t H = run.hidden, width = dy.dim(1);
  const auto workspace = [&](Shape shape, DType type) {
    return Tensor::zeros(shape, type, MemoryClass::workspace, dy.device());
  };
  const Tensor dgates = workspace({dy.dim(0), 4 * H}, dy.dtype()), dh = workspace({H}, dy.dtype()),
               dc = workspace({H}, tape.wide());
  launch(tape.stream(), dy.dtype(), [&]<class T>(auto& s) {
    int64_t behind = -1;
    walk(tape.layout(), run.backwards, true, [&](int64_t t, int64_t before) {
      copy_rows(s, CopyRowsArgs<T>{.count = 1,
                                   .cols = H,
                                   .x = dy.data<T>() + t * width + run.column,
                                   .ldx = width,
                                   .y = dh.data<T>(),
                                   .ldy = H,
                                   .from = {},
                                   .to = {}});
      if (behind >= 0)
        matmul_grad_input(s, MatmulGradInputArgs<T>{.tokens = 1,
                                                    .w = run.p.w_hh->packed(),
                                                    .dy = dgates.data<T>() + behind * 4 * H,
                                                    .ldy = 4 * H,
                                                    .dx = dh.data<T>(),
                                                    .ldx = H,
                                                    .accumulate = true});
      lstm_cell_grad(
          s, LstmCellGradArgs<T>{.hidden = H,
                                 .gates = run.gates.data<T>() + t * 4 * H,
                                 .c_before = before < 0 ? nullptr : run.c.data<Wide<T>>() + before * H,
                                 .c = run.c.data<Wide<T>>() + t * H,
                                 .dh = dh.data<T>(),
                                 .dc = dc.data<Wide<T>>(),
                                 .dgates = dgates.data<T>() + t * 4 * H});
      behind = before < 0 ? -1 : t;
    });
  });
  return dgates;
}

}  // namespace

Var lstm_layer(Tape& tape, const Var& x, std::span<const LstmDirection> directions) {
  const int64_t tokens = x.value().dim(0), H = directions[0].w_hh->shape[1],
                width = static_cast<int64_t>(directions.size()) * H;
  bool wanted = tape.wants(x);
  std::vector<Run> runs;
  for (const LstmDirection& d : directions) {
    FT_CHECK(d.w_ih->shape == (Shape{4 * H, x.value().dim(1)}) && d.w_hh->shape == (Shape{4 * H, H}),
             "[lstm] expected weights [{0}, {1}] and [{0}, {2}], got {3} and {4}", 4 * H, x.value().dim(1), H,
             d.w_ih->shape.str(), d.w_hh->shape.str());
    wanted |= tape.wants(d.w_ih, d.w_hh, d.b_ih, d.b_hh);
    runs.push_back(
        {.p = d, .backwards = !runs.empty(), .hidden = H, .column = static_cast<int64_t>(runs.size()) * H});
  }
  const Var y(Tensor::empty({tokens, width}, x.value().dtype(), MemoryClass::activations, x.value().device()),
              wanted);
  for (Run& run : runs) forward(tape, x.value(), run, y.value());
  if (!wanted) return y;
  tape.record(y.gradient(), [&tape, runs = std::move(runs), x = x.value(), dx = x.gradient(), h = y.value(),
                             dy = y.gradient()] {
    for (const Run& run : runs) {
      const Tensor da = gate_gradients(tape, run, dy.sum());
      const Gradient::Slot slot = dx ? dx.slot() : Gradient::Slot();
      linear_backward(tape, {run.p.w_ih, run.p.b_ih, {}}, tape.index(), x, {}, da, dx ? &slot : nullptr);
      linear_backward(tape, {run.p.w_hh, run.p.b_hh, {}}, tape.index(), states_before(tape, run, h), {}, da,
                      nullptr);
    }
  });
  return y;
}

}  // namespace ft
