// float32 and float64 arithmetic. fma rounds once; a directed rounding exists for float32.
#include <cmath>

#include "kernels/sim/ops_float.h"

namespace ft::sim {
namespace {

using ptx::Type;

template <class T>
using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;

struct Add {
  template <class T>
  static T apply(T a, T b) {
    return a + b;
  }
};
struct Sub {
  template <class T>
  static T apply(T a, T b) {
    return a - b;
  }
};
struct Mul {
  template <class T>
  static T apply(T a, T b) {
    return a * b;
  }
};
struct Div {
  template <class T>
  static T apply(T a, T b) {
    return a / b;
  }
};
struct Fma {
  template <class T>
  static T apply(T a, T b, T c) {
    return std::fma(a, b, c);
  }
};
struct Min {
  template <class T>
  static T apply(T a, T b) {
    return minimum<T, Bits<T>>(a, b);
  }
};
struct Max {
  template <class T>
  static T apply(T a, T b) {
    return maximum<T, Bits<T>>(a, b);
  }
};
struct MinNan {
  template <class T>
  static T apply(T a, T b) {
    return a != a ? a : b != b ? b : minimum<T, Bits<T>>(a, b);
  }
};
struct MaxNan {
  template <class T>
  static T apply(T a, T b) {
    return a != a ? a : b != b ? b : maximum<T, Bits<T>>(a, b);
  }
};
struct Abs {
  template <class T>
  static T apply(T a) {
    return std::fabs(a);
  }
};
struct Neg {
  template <class T>
  static T apply(T a) {
    return -a;
  }
};

/// float32 with a directed rounding: the exact sum in double, rounded to odd, then once in the direction. A
/// sum that cancels is -0 when rounding down.
inline float directed_sum(double a, double b, RoundMode mode) {
  const double sum = add_to_odd(a, b);
  if (mode == RoundMode::down && sum == 0 && std::signbit(a) != std::signbit(b)) return -0.0f;
  return to_float(sum, mode);
}
template <class Op, RoundMode mode>
struct Directed;
template <RoundMode mode>
struct Directed<Add, mode> {
  template <class T>
  static T apply(T a, T b) {
    return directed_sum(a, b, mode);
  }
};
template <RoundMode mode>
struct Directed<Sub, mode> {
  template <class T>
  static T apply(T a, T b) {
    return directed_sum(a, -double{b}, mode);
  }
};
template <RoundMode mode>
struct Directed<Mul, mode> {
  template <class T>
  static T apply(T a, T b) {
    return to_float(double{a} * double{b}, mode);
  }
};
template <RoundMode mode>
struct Directed<Fma, mode> {
  template <class T>
  static T apply(T a, T b, T c) {
    return directed_sum(double{a} * double{b}, c, mode);
  }
};

template <class Op, Arity arity>
void set_rounded(Decoder& d, Type type) {
  const int round = d.take_one({".rn", ".rz", ".rm", ".rp"}, 0);
  if (round == 0) return set_float<Op, arity>(d, type);
  if (type != Type::f32 || d.take(".sat")) d.error("this rounding exists for f32 only, without .sat");
  if (d.take(".ftz")) d.error(".ftz with a directed rounding");
  plain_operands(d, type, type, static_cast<size_t>(arity) + 1);
  d.inst.run = round == 1   ? handler<Directed<Op, RoundMode::zero>, float, arity>()
               : round == 2 ? handler<Directed<Op, RoundMode::down>, float, arity>()
                            : handler<Directed<Op, RoundMode::up>, float, arity>();
}

}  // namespace

void decode_float_arithmetic(Decoder& d, std::string_view op, Type type) {
  d.inst.inst_class = type == Type::f64 ? InstClass::float64 : InstClass::float32;
  d.inst.flops = op == "fma" || op == "mad" ? 2 : op == "abs" || op == "neg" ? 0 : 1;
  if (op == "add") return set_rounded<Add, Arity::two>(d, type);
  if (op == "sub") return set_rounded<Sub, Arity::two>(d, type);
  if (op == "mul") return set_rounded<Mul, Arity::two>(d, type);
  if (op == "fma" || op == "mad") return set_rounded<Fma, Arity::three>(d, type);
  if (op == "div") {
    d.inst.inst_class = InstClass::special;
    d.take_one({".rn", ".approx", ".full"});
    return set_float<Div, Arity::two>(d, type);
  }
  if (op == "min" || op == "max") {
    const bool nan = d.take(".NaN");
    if (op == "min")
      return nan ? set_float<MinNan, Arity::two>(d, type) : set_float<Min, Arity::two>(d, type);
    return nan ? set_float<MaxNan, Arity::two>(d, type) : set_float<Max, Arity::two>(d, type);
  }
  if (op == "abs") return set_float<Abs, Arity::one>(d, type);
  if (op == "neg") return set_float<Neg, Arity::one>(d, type);
  d.error("no float form");
}

}  // namespace ft::sim
