// Handlers of float32 and float64 operations with .ftz and .sat.
#pragma once

#include "kernels/sim/float_format.h"
#include "kernels/sim/lanes.h"

namespace ft::sim {

/// The same with .ftz and .sat.
template <class Op, bool ftz, bool sat>
struct Adjusted {
  static float in(float x) { return ftz ? flush(x) : x; }
  static float out(float x) {
    if (ftz) x = flush(x);
    return sat ? saturate(x) : x;
  }
  template <class T>
  static T apply(T a) {
    return out(Op::apply(in(a)));
  }
  template <class T>
  static T apply(T a, T b) {
    return out(Op::apply(in(a), in(b)));
  }
  template <class T>
  static T apply(T a, T b, T c) {
    return out(Op::apply(in(a), in(b), in(c)));
  }
};

enum class Arity { one, two, three };

template <class Op, class T, Arity arity>
Handler handler() {
  if constexpr (arity == Arity::one)
    return unary<Op, T, T>;
  else if constexpr (arity == Arity::two)
    return binary<Op, T, T>;
  else
    return ternary<Op, T, T>;
}

template <class Op, Arity arity>
Handler adjusted(bool ftz, bool sat) {
  if (ftz)
    return sat ? handler<Adjusted<Op, true, true>, float, arity>()
               : handler<Adjusted<Op, true, false>, float, arity>();
  return sat ? handler<Adjusted<Op, false, true>, float, arity>() : handler<Op, float, arity>();
}

template <class Op, Arity arity>
void set_float(Decoder& d, ptx::Type type) {
  plain_operands(d, type, type, static_cast<size_t>(arity) + 1);
  const bool ftz = d.take(".ftz"), sat = d.take(".sat");
  if (type == ptx::Type::f32) {
    d.inst.run = adjusted<Op, arity>(ftz, sat);
  } else {
    if (type != ptx::Type::f64 || sat) d.error("expected .f32 or .f64");
    d.inst.run = handler<Op, double, arity>();
  }
}

}  // namespace ft::sim
