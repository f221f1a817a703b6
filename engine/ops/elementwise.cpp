#include "engine/ops/elementwise.h"

#include "engine/autograd/tape.h"

namespace ft {

Var add(Tape& tape, const Var& a, const Var& b) {
  const Tensor y =
      Tensor::empty(a.value().shape(), a.value().dtype(), MemoryClass::activations, a.value().device());
  launch(tape.stream(), y.dtype(), [&]<class T>(auto& s) {
    add(s,
        AddArgs<T>{.count = y.numel(), .a = a.value().data<T>(), .b = b.value().data<T>(), .y = y.data<T>()});
  });
  const Var sum(y, tape.wants(a, b));
  if (sum.requires_grad())
    tape.record(sum.gradient(), [&tape, da = a.gradient(), db = b.gradient(), dy = sum.gradient()] {
      if (da) da.add(tape.stream(), dy.sum());
      if (db) db.add(tape.stream(), dy.sum());
    });
  return sum;
}

Var scale(Tape& tape, const Var& x, double factor) {
  const auto scaled = [&tape, factor](const Tensor& t) {
    const Tensor y = Tensor::empty(t.shape(), t.dtype(), MemoryClass::activations, t.device());
    launch(tape.stream(), t.dtype(), [&]<class T>(auto& s) {
      scale(
          s,
          ScaleArgs<T>{
              .count = t.numel(), .scale = static_cast<Wide<T>>(factor), .x = t.data<T>(), .y = y.data<T>()});
    });
    return y;
  };
  const Var y(scaled(x.value()), tape.wants(x));
  if (y.requires_grad())
    tape.record(y.gradient(), [&tape, scaled, dx = x.gradient(), dy = y.gradient()] {
      dx.add(tape.stream(), scaled(dy.sum()));
    });
  return y;
}

Var dropout(Tape& tape, const Var& x, float p, uint64_t key, uint32_t site) {
  if (p <= 0) return x;
  const auto masked = [&tape, p, key, site](const Tensor& t) {
    const Tensor y = Tensor::empty(t.shape(), t.dtype(), MemoryClass::activations, t.device());
    launch(tape.stream(), t.dtype(), [&]<class T>(auto& s) {
      dropout(s, DropoutArgs<T>{.tokens = t.dim(0),
                                .cols = t.dim(1),
                                .x = t.data<T>(),
                                .y = y.data<T>(),
                                .p = p,
                                .key = key,
                                .site = site,
                                .row = tape.layout().row.data(),
                                .position = tape.layout().position.data()});
    });
    return y;
  };
  const Var y(masked(x.value()), tape.wants(x));
  if (y.requires_grad())
    tape.record(y.gradient(), [&tape, masked, dx = x.gradient(), dy = y.gradient()] {
      dx.add(tape.stream(), masked(dy.sum()));
    });
  return y;
}

}  // namespace ft
