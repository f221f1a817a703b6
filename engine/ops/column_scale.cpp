#include "engine/ops/column_scale.h"

#include "engine/autograd/tape.h"

namespace ft {

Var column_scale(Tape& tape, const Var& x, Parameter& scale, const Parameter* pivot) {
  const int64_t rows = x.value().dim(0), cols = x.value().dim(1);
  FT_CHECK(scale.numel() == cols && scale.layout == Parameter::Layout::plain,
           "[column_scale] {}: expected {} plain elements, got {}", scale.name, cols, scale.numel());
  FT_CHECK(!pivot || pivot->numel() == cols, "[column_scale] {}: expected {} elements, got {}", pivot->name,
           cols, pivot->numel());
  const Tensor value =
      Tensor::empty(x.value().shape(), x.value().dtype(), MemoryClass::activations, x.value().device());
  launch(tape.stream(), value.dtype(), [&]<class T>(auto& s) {
    column_scale(s, ColumnScaleArgs<T>{.rows = rows,
                                       .cols = cols,
                                       .x = x.value().data<T>(),
                                       .scale = scale.value.data<Wide<T>>(),
                                       .y = value.data<T>(),
                                       .pivot = pivot ? pivot->value.data<Wide<T>>() : nullptr});
  });
  const Var y(value, tape.wants(x, &scale));
  if (!y.requires_grad()) return y;
  tape.record(y.gradient(), [&tape, &scale, pivot, cols, x = scale.trainable ? x.value() : Tensor(),
                             dx = x.gradient(), dy = y.gradient()] {
    const Gradient::Slot slot = dx ? dx.slot() : Gradient::Slot();
    launch(tape.stream(), dy.sum().dtype(), [&]<class T>(auto& s) {
      column_scale_grad(
          s, ColumnScaleGradArgs<T>{.segments = tape.index().segments,
                                    .cols = cols,
                                    .dy = dy.sum().template data<T>(),
                                    .x = scale.trainable ? x.template data<T>() : nullptr,
                                    .scale = scale.value.data<Wide<T>>(),
                                    .dx = dx ? slot.grad.template data<T>() : nullptr,
                                    .accumulate = slot.accumulate,
                                    .dscale = scale.trainable ? scale.grad.data<Wide<T>>() : nullptr,
                                    .pivot = pivot ? pivot->value.data<Wide<T>>() : nullptr});
    });
  });
  return y;
}

}  // namespace ft
