#include "engine/autograd/tape.h"
#include "engine/ops/activation.h"

namespace ft {

Var activation(Tape& tape, Activation kind, const Var& x) {
  const Var y(
      Tensor::empty(x.value().shape(), x.value().dtype(), MemoryClass::activations, x.value().device()),
      tape.wants(x));
  launch(tape.stream(), x.value().dtype(), [&]<class T>(auto& s) {
    activation(
        s, ActivationArgs<T>{
               .count = x.value().numel(), .kind = kind, .x = x.value().data<T>(), .y = y.value().data<T>()});
  });
  if (y.requires_grad())
    tape.record(y.gradient(), [&tape, kind, x = x.value(), dx = x.gradient(), dy = y.gradient()] {
      const Tensor g = dy.take();
      launch(tape.stream(), g.dtype(), [&]<class T>(auto& s) {
        activation_grad(
            s, ActivationGradArgs<T>{
                   .count = g.numel(), .kind = kind, .x = x.data<T>(), .dy = g.data<T>(), .dx = g.data<T>()});
      });
      dx.add(tape.stream(), g);
    });
  return y;
}

Var gated_activation(Tape& tape, Activation kind, const Var& gate, const Var& up) {
  const Tensor g = gate.value(), u = up.value();
  const Var y(Tensor::empty(g.shape(), g.dtype(), MemoryClass::activations, g.device()),
              tape.wants(gate, up));
  launch(tape.stream(), g.dtype(), [&]<class T>(auto& s) {
    gated_activation(s, GatedActivationArgs<T>{.count = g.numel(),
                                               .kind = kind,
                                               .gate = g.data<T>(),
                                               .up = u.data<T>(),
                                               .y = y.value().data<T>()});
  });
  if (y.requires_grad())
    tape.record(
        y.gradient(), [&tape, kind, g, u, dgate = gate.gradient(), dup = up.gradient(), dy = y.gradient()] {
          const Tensor out = dy.take();
          const Tensor dg = Tensor::empty(out.shape(), out.dtype(), MemoryClass::activations, out.device());
          launch(tape.stream(), out.dtype(), [&]<class T>(auto& s) {
            gated_activation_grad(s, GatedActivationGradArgs<T>{.count = out.numel(),
                                                                .kind = kind,
                                                                .gate = g.data<T>(),
                                                                .up = u.data<T>(),
                                                                .dy = out.data<T>(),
                                                                .dgate = dg.data<T>(),
                                                                .dup = out.data<T>()});
          });
          if (dgate) dgate.add(tape.stream(), dg);
          if (dup) dup.add(tape.stream(), out);
        });
  return y;
}

}  // namespace ft
