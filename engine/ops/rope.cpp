#include "engine/ops/rope.h"

#include "engine/autograd/tape.h"

namespace ft {

Var rope(Tape& tape, const Var& x, int64_t column, int64_t heads, int64_t head_dim, const Tensor& cos,
         const Tensor& sin, bool interleaved) {
  const auto rotate = [&tape, column, heads, head_dim, cos, sin, interleaved](const Tensor& t, bool inverse) {
    launch(tape.stream(), t.dtype(), [&]<class T>(auto& s) {
      rope(s, RopeArgs<T>{.tokens = t.dim(0),
                          .heads = heads,
                          .head_dim = head_dim,
                          .rotary_dim = 2 * cos.dim(1),
                          .x = t.data<T>() + column,
                          .ld = t.dim(1),
                          .cos = cos.data<Wide<T>>(),
                          .sin = sin.data<Wide<T>>(),
                          .interleaved = interleaved,
                          .inverse = inverse});
    });
  };
  rotate(x.value(), false);
  const Var y(x.value(), tape.wants(x));
  if (y.requires_grad())
    tape.record(y.gradient(), [&tape, rotate, dx = x.gradient(), dy = y.gradient()] {
      const Tensor g = dy.take();
      rotate(g, true);
      dx.add(tape.stream(), g);
    });
  return y;
}

}  // namespace ft
