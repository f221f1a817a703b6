// f16, bf16 and their pairs: computed in float or double and rounded once to the format. A float holds the
// exact product and enough of a sum or quotient of two halves that its second rounding is innocuous (24 >= 2
// * 11 + 2); fma goes through a sum rounded to odd.
#include <cmath>

#include "kernels/sim/float_format.h"
#include "kernels/sim/lanes.h"

namespace ft::sim {
namespace {

using ptx::Type;

struct Half {
  static float widen(uint16_t h) { return half_to_float(h); }
  static uint16_t narrow(float f) { return float_to_half(f); }
};
struct Bfloat {
  static float widen(uint16_t h) { return bf16_to_float(h); }
  static uint16_t narrow(float f) { return float_to_bf16(f); }
};

struct Add {
  static float apply(float a, float b) { return a + b; }
};
struct Sub {
  static float apply(float a, float b) { return a - b; }
};
struct Mul {
  static float apply(float a, float b) { return a * b; }
};
struct Fma {
  static float apply(float a, float b, float c) { return to_float_odd(add_to_odd(double{a} * double{b}, c)); }
};
struct Min {
  static float apply(float a, float b) { return minimum<float, uint32_t>(a, b); }
};
struct Max {
  static float apply(float a, float b) { return maximum<float, uint32_t>(a, b); }
};
struct MinNan {
  static float apply(float a, float b) { return a != a || b != b ? NAN : minimum<float, uint32_t>(a, b); }
};
struct MaxNan {
  static float apply(float a, float b) { return a != a || b != b ? NAN : maximum<float, uint32_t>(a, b); }
};
struct Exp2 {
  static float apply(float a) { return exp2_rounded(a); }
};
struct Tanh {
  static float apply(float a) { return std::tanh(a); }
};
// Signs are bits: neg and abs keep NaN payloads of no interest, and are exact.
struct Abs {
  static float apply(float a) { return std::fabs(a); }
};
struct Neg {
  static float apply(float a) { return -a; }
};

enum Extra : uint8_t { none, sat, relu };

template <class Format, class Op>
struct Scalar {
  template <class... A>
  static uint16_t apply(uint8_t extra, A... a) {
    float r = Op::apply(Format::widen(a)...);
    if (extra == sat) r = saturate(r);
    if (extra == relu) r = r > 0 || r != r ? r : 0.0f;
    return Format::narrow(r);
  }
};
template <class Format, class Op>
struct Pair {
  template <class... A>
  static uint32_t apply(uint8_t extra, A... a) {
    const uint32_t low = Scalar<Format, Op>::apply(extra, static_cast<uint16_t>(a)...);
    const uint32_t high = Scalar<Format, Op>::apply(extra, static_cast<uint16_t>(a >> 16)...);
    return low | high << 16;
  }
};

template <class T, class S, int arity>
void run(Warp& w, const Inst& in, Mask m) {
  const uint8_t extra = in.mode;
  if constexpr (arity == 1) {
    each_lane(
        m, w.reg<T>(in.d), [extra](T a) { return T(S::apply(extra, a)); }, w.reg<T>(in.a));
  } else if constexpr (arity == 2) {
    each_lane(
        m, w.reg<T>(in.d), [extra](T a, T b) { return T(S::apply(extra, a, b)); }, w.reg<T>(in.a),
        w.reg<T>(in.b));
  } else {
    each_lane(
        m, w.reg<T>(in.d), [extra](T a, T b, T c) { return T(S::apply(extra, a, b, c)); }, w.reg<T>(in.a),
        w.reg<T>(in.b), w.reg<T>(in.c));
  }
}

template <class Op, int arity>
void set(Decoder& d, Type type) {
  plain_operands(d, type, type, arity);
  d.inst.mode = d.take(".sat") ? sat : d.take(".relu") ? relu : none;
  d.take(".ftz");  // halves are widened to normal floats; .ftz of f16 results is not emulated below 2^-14
  switch (type) {
    case Type::f16:
      d.inst.run = run<uint16_t, Scalar<Half, Op>, arity>;
      break;
    case Type::bf16:
      d.inst.run = run<uint16_t, Scalar<Bfloat, Op>, arity>;
      break;
    case Type::f16x2:
      d.inst.run = run<uint32_t, Pair<Half, Op>, arity>;
      break;
    case Type::bf16x2:
      d.inst.run = run<uint32_t, Pair<Bfloat, Op>, arity>;
      break;
    default:
      d.error("no half form");
  }
  d.inst.flops = static_cast<uint8_t>(d.inst.flops * (ptx::bytes_of(type) / 2));
}

}  // namespace

void decode_half_arithmetic(Decoder& d, std::string_view op, Type type) {
  d.inst.inst_class = InstClass::half;
  d.inst.flops = op == "fma" ? 2 : op == "abs" || op == "neg" ? 0 : 1;
  const bool nan = (op == "min" || op == "max") && d.take(".NaN");
  d.take(".rn");
  if (op == "add") return set<Add, 2>(d, type);
  if (op == "sub") return set<Sub, 2>(d, type);
  if (op == "mul") return set<Mul, 2>(d, type);
  if (op == "fma") return set<Fma, 3>(d, type);
  if (op == "min") return nan ? set<MinNan, 2>(d, type) : set<Min, 2>(d, type);
  if (op == "max") return nan ? set<MaxNan, 2>(d, type) : set<Max, 2>(d, type);
  if (op == "abs") return set<Abs, 1>(d, type);
  if (op == "neg") return set<Neg, 1>(d, type);
  d.take(".approx");
  if (op == "ex2") return set<Exp2, 1>(d, type);
  if (op == "tanh") return set<Tanh, 1>(d, type);
  d.error("no half form");
}

}  // namespace ft::sim
