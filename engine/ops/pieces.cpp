#include "engine/ops/pieces.h"

#include <limits>
#include <memory>

#include "engine/ops/linear.h"

namespace ft {
namespace {

Tensor swapped(Tape& tape, const Tensor& x, int64_t outer) {
  const int64_t tokens = x.dim(0), inner = x.dim(1) / outer;
  FT_CHECK(x.dim(1) % outer == 0, "[swap_axes] expected a multiple of {} columns, got {}", outer, x.dim(1));
  if (outer == 1 || inner == 1) return x;
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), MemoryClass::activations, x.device());
  launch(tape.stream(), x.dtype(), [&]<class T>(auto& s) {
    swap_axes(s, SwapAxesArgs<T>{
                     .tokens = tokens, .outer = outer, .inner = inner, .x = x.data<T>(), .y = y.data<T>()});
  });
  return y;
}

}  // namespace

Var swap_axes(Tape& tape, const Var& x, int64_t outer) {
  const Var y(swapped(tape, x.value(), outer), tape.wants(x));
  if (y.requires_grad())
    tape.record(y.gradient(), [&tape, inner = x.value().dim(1) / outer, dx = x.gradient(),
                               dy = y.gradient()] { dx.add(tape.stream(), swapped(tape, dy.sum(), inner)); });
  return y;
}

Var linear_of_pieces(Tape& tape, const Var& x, Parameter& weight) {
  const int64_t tokens = x.value().dim(0), out = weight.shape[0], in = weight.shape[1];
  const int64_t pieces = x.value().dim(1) / in, rows = tokens * pieces;
  FT_CHECK(x.value().dim(1) % in == 0, "[linear_of_pieces] {}: expected a multiple of {} columns, got {}",
           weight.name, in, x.value().dim(1));
  FT_CHECK(rows <= std::numeric_limits<int32_t>::max(), "[linear_of_pieces] {}: {} rows are too many",
           weight.name, rows);
  const LinearWeights w{&weight, nullptr, {}};
  const Tensor value = linear_forward(tape, x.value().reshape({rows, in}), w, {}, nullptr);
  const Var y(value.reshape({tokens, pieces * out}), tape.wants(x, &weight));
  if (!y.requires_grad()) return y;
  tape.record(y.gradient(), [&tape, w, rows, in, out, pieces, dx = x.gradient(), dy = y.gradient(),
                             x = w.trainable() ? x.value() : Tensor()] {
    std::vector<int32_t> bounds;
    for (const int32_t b : tape.layout().bounds) bounds.push_back(b * static_cast<int32_t>(pieces));
    const RowIndex index{{tape.upload(bounds), tape.layout().samples()}, {}, {}};
    Gradient::Slot slot = dx ? dx.slot() : Gradient::Slot();
    if (dx) slot.grad = slot.grad.reshape({rows, in});
    linear_backward(tape, w, index, x.defined() ? x.reshape({rows, in}) : Tensor(), {},
                    dy.sum().reshape({rows, out}), dx ? &slot : nullptr);
  });
  return y;
}

}  // namespace ft
