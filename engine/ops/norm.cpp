#include "engine/ops/norm.h"

#include "engine/autograd/tape.h"

namespace ft {
namespace {

struct Normed {
  Tensor h, y, mean, rstd;
};

Normed forward(Tape& tape, const Tensor& x, const Tensor* residual, const Parameter& weight,
               const Parameter* bias, const NormOptions& o) {
  const int64_t cols = weight.numel(), rows = x.numel() / cols;
  Normed n;
  n.h = residual ? Tensor::empty(x.shape(), x.dtype(), MemoryClass::activations, x.device()) : x;
  n.y = Tensor::empty(x.shape(), x.dtype(), MemoryClass::activations, x.device());
  n.rstd = Tensor::empty({rows}, tape.wide(), MemoryClass::activations, x.device());
  if (o.center) n.mean = Tensor::empty({rows}, tape.wide(), MemoryClass::activations, x.device());
  launch(tape.stream(), x.dtype(), [&]<class T>(auto& s) {
    norm(s, NormArgs<T>{.rows = rows,
                        .cols = cols,
                        .x = x.data<T>(),
                        .residual = residual ? residual->data<T>() : nullptr,
                        .weight = weight.value.data<Wide<T>>(),
                        .bias = bias ? bias->value.data<Wide<T>>() : nullptr,
                        .eps = static_cast<Wide<T>>(o.eps),
                        .weight_offset = static_cast<Wide<T>>(o.weight_offset),
                        .center = o.center,
                        .sum = residual ? n.h.data<T>() : nullptr,
                        .y = n.y.data<T>(),
                        .mean = o.center ? n.mean.data<Wide<T>>() : nullptr,
                        .rstd = n.rstd.data<Wide<T>>()});
  });
  return n;
}

void backward(Tape& tape, const Normed& n, const Tensor& dy, Parameter& weight, Parameter* bias,
              const NormOptions& o, const Gradient& dh) {
  const Gradient::Slot slot = dh ? dh.slot() : Gradient::Slot();
  launch(tape.stream(), dy.dtype(), [&]<class T>(auto& s) {
    norm_grad(s, NormGradArgs<T>{.segments = tape.index().segments,
                                 .rows_per_token = o.rows_per_token,
                                 .cols = weight.numel(),
                                 .dy = dy.data<T>(),
                                 .h = n.h.data<T>(),
                                 .mean = o.center ? n.mean.data<Wide<T>>() : nullptr,
                                 .rstd = n.rstd.data<Wide<T>>(),
                                 .weight = weight.value.data<Wide<T>>(),
                                 .weight_offset = static_cast<Wide<T>>(o.weight_offset),
                                 .dh = dh ? slot.grad.data<T>() : nullptr,
                                 .accumulate = slot.accumulate,
                                 .dweight = weight.trainable ? weight.grad.data<Wide<T>>() : nullptr,
                                 .dbias = bias && bias->trainable ? bias->grad.data<Wide<T>>() : nullptr});
  });
}

}  // namespace

Var norm(Tape& tape, const Var& x, Parameter& weight, Parameter* bias, const NormOptions& o) {
  const Normed n = forward(tape, x.value(), nullptr, weight, bias, o);
  const Var y(n.y, tape.wants(x, &weight, bias));
  if (!y.requires_grad()) return y;
  tape.record(y.gradient(), [&tape, &weight, bias, o, n = Normed{n.h, {}, n.mean, n.rstd}, dx = x.gradient(),
                             dy = y.gradient()] { backward(tape, n, dy.sum(), weight, bias, o, dx); });
  return y;
}

std::pair<Var, Var> residual_norm(Tape& tape, const Var& x, const Var& residual, Parameter& weight,
                                  Parameter* bias, const NormOptions& o) {
  const Normed n = forward(tape, x.value(), &residual.value(), weight, bias, o);
  const bool inputs = tape.wants(x, residual);
  const Var h(n.h, inputs), y(n.y, tape.wants(x, residual, &weight, bias));
  // Two entries: the sum's gradient is complete only after everybody else who reads h, and y's norm, have
  // added to it.
  if (inputs)
    tape.record(h.gradient(), [&tape, dh = h.gradient(), dx = x.gradient(), dr = residual.gradient()] {
      if (dx) dx.add(tape.stream(), dh.sum());
      if (dr) dr.add(tape.stream(), dh.sum());
    });
  if (y.requires_grad())
    tape.record(y.gradient(),
                [&tape, &weight, bias, o, n = Normed{n.h, {}, n.mean, n.rstd}, dh = h.gradient(),
                 dy = y.gradient()] { backward(tape, n, dy.sum(), weight, bias, o, dh); });
  return {h, y};
}

}  // namespace ft
