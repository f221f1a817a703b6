// Functions of one float, and what looks at its sign and class. The .approx functions are computed to about
// the last bit of float32, so they differ from the hardware's in last bits (the hardware's errors are a few
// units).
#include <cmath>

#include "kernels/sim/ops_float.h"

namespace ft::sim {
namespace {

using ptx::Type;

struct Sqrt {
  template <class T>
  static T apply(T a) {
    return std::sqrt(a);
  }
};
struct Rcp {
  template <class T>
  static T apply(T a) {
    return T(1) / a;
  }
};
struct Rsqrt {
  template <class T>
  static T apply(T a) {
    return static_cast<T>(1.0 / std::sqrt(static_cast<double>(a)));
  }
};
struct Exp2 {
  template <class T>
  static T apply(T a) {
    return exp2_rounded(a);
  }
};
struct Log2 {
  template <class T>
  static T apply(T a) {
    return std::log2(a);
  }
};
struct Sin {
  template <class T>
  static T apply(T a) {
    return std::sin(a);
  }
};
struct Cos {
  template <class T>
  static T apply(T a) {
    return std::cos(a);
  }
};
struct Tanh {
  template <class T>
  static T apply(T a) {
    return std::tanh(a);
  }
};
struct CopySign {
  template <class T>
  static T apply(T a, T b) {
    return std::copysign(b, a);
  }
};

template <class Op>
void decode_function(Decoder& d) {  // one operand, .approx or .rn
  const Type type = d.take_type();
  d.inst.inst_class = InstClass::special;
  d.inst.flops = 1;
  d.take_one({".approx", ".rn"});
  set_float<Op, Arity::one>(d, type);
}

template <class Op>
void decode_float32_function(Decoder& d) {
  d.inst.inst_class = InstClass::special;
  d.inst.flops = 1;
  const Type type = d.take_type();
  if (type != Type::f32)
    return decode_half_arithmetic(d, d.source->opcode.substr(0, d.source->opcode.find('.')), type);
  d.take(".approx");
  plain_operands(d, type, type, 1);
  d.inst.run = adjusted<Op, Arity::one>(d.take(".ftz"), false);
}

void decode_copysign(Decoder& d) {
  d.inst.inst_class = InstClass::logic;
  set_float<CopySign, Arity::two>(d, d.take_type());
}

template <class T, class F>
void test_class(Warp& w, const Inst& in, Mask m, F f) {
  blend_predicate(w.pred(in.d), mask_of(f, w.reg<T>(in.a)), m);
}

template <class T>
void test_property(Warp& w, const Inst& in, Mask m) {
  test_class<T>(w, in, m, [kind = in.mode](T x) {
    switch (kind) {
      case 0:
        return std::isfinite(x);
      case 1:
        return std::isinf(x);
      case 2:
        return !std::isnan(x);
      case 3:
        return std::isnan(x);
      case 4:
        return std::isnormal(x);
      default:
        return std::fpclassify(x) == FP_SUBNORMAL;
    }
  });
}

void decode_testp(Decoder& d) {
  d.inst.inst_class = InstClass::predicate;
  const int kind = d.take_one({".finite", ".infinite", ".number", ".notanumber", ".normal", ".subnormal"});
  if (kind < 0) d.error("unknown property");
  d.inst.mode = static_cast<uint8_t>(kind);
  const Type type = d.take_type();
  d.expect_operands(2, 2);
  d.write(&Inst::d, d.operand(0), 0);
  d.read(&Inst::a, d.operand(1), type);
  d.inst.run = type == Type::f32 ? test_property<float> : test_property<double>;
}

}  // namespace

void add_special_ops(OpTable& table) {
  table["sqrt"] = decode_function<Sqrt>;
  table["rcp"] = decode_function<Rcp>;
  table["rsqrt"] = decode_function<Rsqrt>;
  table["ex2"] = decode_float32_function<Exp2>;
  table["tanh"] = decode_float32_function<Tanh>;
  table["lg2"] = decode_float32_function<Log2>;
  table["sin"] = decode_float32_function<Sin>;
  table["cos"] = decode_float32_function<Cos>;
  table["copysign"] = decode_copysign;
  table["testp"] = decode_testp;
}

}  // namespace ft::sim
