// Integer arithmetic. Wraps modulo 2^n; a division by zero gives all ones and the dividend as the remainder,
// as the hardware does, and never traps.
#include <limits>
#include <type_traits>

#include "kernels/sim/lanes.h"

namespace ft::sim {
namespace {

using ptx::Type;

template <class T>
using Wide = std::conditional_t<
    sizeof(T) == 2, std::conditional_t<std::is_signed_v<T>, int32_t, uint32_t>,
    std::conditional_t<sizeof(T) == 4, std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>,
                       std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>>>;
template <class T>
using Unsigned = std::conditional_t<sizeof(T) <= 4, uint32_t, uint64_t>;

struct Add {
  template <class T>
  static T apply(T a, T b) {
    return static_cast<T>(Unsigned<T>(a) + Unsigned<T>(b));
  }
};
struct AddSat {
  template <class T>
  static T apply(T a, T b) {
    const int64_t sum = static_cast<int64_t>(a) + static_cast<int64_t>(b);
    return sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : static_cast<T>(sum);
  }
};
struct Sub {
  template <class T>
  static T apply(T a, T b) {
    return static_cast<T>(Unsigned<T>(a) - Unsigned<T>(b));
  }
};
struct SubSat {
  template <class T>
  static T apply(T a, T b) {
    const int64_t difference = static_cast<int64_t>(a) - static_cast<int64_t>(b);
    return difference > INT32_MAX   ? INT32_MAX
           : difference < INT32_MIN ? INT32_MIN
                                    : static_cast<T>(difference);
  }
};
struct Mul {
  template <class T>
  static T apply(T a, T b) {
    return static_cast<T>(Unsigned<T>(a) * Unsigned<T>(b));
  }
};
struct MulHi {
  template <class T>
  static T apply(T a, T b) {
    return static_cast<T>((Wide<T>(a) * Wide<T>(b)) >> (8 * sizeof(T)));
  }
};
struct MulWide {
  template <class T>
  static Wide<T> apply(T a, T b) {
    return Wide<T>(a) * Wide<T>(b);
  }
};
struct Mad {
  template <class T>
  static T apply(T a, T b, T c) {
    return static_cast<T>(Unsigned<T>(a) * Unsigned<T>(b) + Unsigned<T>(c));
  }
};
struct MadHi {
  template <class T>
  static T apply(T a, T b, T c) {
    return static_cast<T>(Unsigned<T>(MulHi::apply(a, b)) + Unsigned<T>(c));
  }
};
struct MadWide {
  template <class T>
  static Wide<T> apply(T a, T b, Wide<T> c) {
    using U = Unsigned<Wide<T>>;
    return static_cast<Wide<T>>(U(Wide<T>(a) * Wide<T>(b)) + U(c));
  }
};
struct Div {
  template <class T>
  static T apply(T a, T b) {
    if (b == 0) return static_cast<T>(-1);
    if constexpr (std::is_signed_v<T>) {
      if (b == T(-1)) return static_cast<T>(Unsigned<T>(0) - Unsigned<T>(a));
    }
    return static_cast<T>(a / b);
  }
};
struct Rem {
  template <class T>
  static T apply(T a, T b) {
    if (b == 0) return a;
    if constexpr (std::is_signed_v<T>) {
      if (b == T(-1)) return 0;
    }
    return static_cast<T>(a % b);
  }
};
struct Min {
  template <class T>
  static T apply(T a, T b) {
    return b < a ? b : a;
  }
};
struct Max {
  template <class T>
  static T apply(T a, T b) {
    return a < b ? b : a;
  }
};
struct Neg {
  template <class T>
  static T apply(T a) {
    return static_cast<T>(Unsigned<T>(0) - Unsigned<T>(a));
  }
};
struct Abs {
  template <class T>
  static T apply(T a) {
    return a < T(0) ? Neg::apply(a) : a;
  }
};
struct Sad {
  template <class T>
  static T apply(T a, T b, T c) {
    return static_cast<T>(Unsigned<T>(c) +
                          (a < b ? Unsigned<T>(b) - Unsigned<T>(a) : Unsigned<T>(a) - Unsigned<T>(b)));
  }
};

Type wide_type(Decoder& d, Type type) {
  switch (type) {
    case Type::u16:
      return Type::u32;
    case Type::s16:
      return Type::s32;
    case Type::u32:
      return Type::u64;
    case Type::s32:
      return Type::s64;
    default:
      d.error("wide products exist for 16 and 32 bits");
  }
}

template <class Op>
void set_binary(Decoder& d, Type type) {
  plain_operands(d, type, type, 2);
  with_integer(d, type, [&](auto t) { d.inst.run = binary<Op, decltype(t), decltype(t)>; });
}

template <class Op>
void set_ternary(Decoder& d, Type type) {
  plain_operands(d, type, type, 3);
  with_integer(d, type, [&](auto t) { d.inst.run = ternary<Op, decltype(t), decltype(t)>; });
}

void decode_mul(Decoder& d, Type type) {
  if (d.take(".wide")) {
    plain_operands(d, wide_type(d, type), type, 2);
    with_integer(d, type, [&](auto t) {
      using T = decltype(t);
      if constexpr (sizeof(T) < 8) d.inst.run = binary<MulWide, Wide<T>, T>;
    });
  } else if (d.take(".hi")) {
    set_binary<MulHi>(d, type);
  } else {
    if (!d.take(".lo")) d.error("expected .lo, .hi or .wide");
    set_binary<Mul>(d, type);
  }
}

void decode_mad(Decoder& d, Type type) {
  if (d.take(".wide")) {
    const Type wide = wide_type(d, type);
    d.expect_operands(4, 4);
    d.write(&Inst::d, d.operand(0), ptx::bytes_of(wide));
    d.read(&Inst::a, d.operand(1), type);
    d.read(&Inst::b, d.operand(2), type);
    d.read(&Inst::c, d.operand(3), wide);
    with_integer(d, type, [&](auto t) {
      using T = decltype(t);
      if constexpr (sizeof(T) < 8) d.inst.run = ternary<MadWide, Wide<T>, T, T, Wide<T>>;
    });
  } else if (d.take(".hi")) {
    set_ternary<MadHi>(d, type);
  } else {
    if (!d.take(".lo")) d.error("expected .lo, .hi or .wide");
    set_ternary<Mad>(d, type);
  }
}

void decode_sad(Decoder& d) {
  d.inst.inst_class = InstClass::integer;
  set_ternary<Sad>(d, d.take_type());
}

// Four products of bytes, added: the types of both sides may differ in sign.
template <class A, class B>
void dot4(Warp& w, const Inst& in, Mask m) {
  each_lane(
      m, w.reg<uint32_t>(in.d),
      [](uint32_t a, uint32_t b, uint32_t c) {
        int32_t sum = 0;
        for (int i = 0; i < 32; i += 8)
          sum += int32_t{static_cast<A>(a >> i)} * int32_t{static_cast<B>(b >> i)};
        return c + static_cast<uint32_t>(sum);
      },
      w.reg<uint32_t>(in.a), w.reg<uint32_t>(in.b), w.reg<uint32_t>(in.c));
}

void decode_dp4a(Decoder& d) {
  d.inst.inst_class = InstClass::integer;
  const bool signed_a = ptx::is_signed(d.take_type()), signed_b = ptx::is_signed(d.take_type());
  plain_operands(d, Type::b32, Type::b32, 3);
  d.inst.run = signed_a ? (signed_b ? dot4<int8_t, int8_t> : dot4<int8_t, uint8_t>)
                        : (signed_b ? dot4<uint8_t, int8_t> : dot4<uint8_t, uint8_t>);
}

void route(Decoder& d, std::string_view op) {
  const Type type = d.take_type();
  switch (type) {
    case Type::f32:
    case Type::f64:
      return decode_float_arithmetic(d, op, type);
    case Type::f16:
    case Type::f16x2:
    case Type::bf16:
    case Type::bf16x2:
      return decode_half_arithmetic(d, op, type);
    default:
      return decode_integer_arithmetic(d, op, type);
  }
}

}  // namespace

void decode_integer_arithmetic(Decoder& d, std::string_view op, Type type) {
  d.inst.inst_class = InstClass::integer;
  if (op == "add" || op == "sub") {
    const bool saturate = d.take(".sat");
    if (saturate && type != Type::s32) d.error(".sat exists for s32");
    if (op == "add") return saturate ? set_binary<AddSat>(d, type) : set_binary<Add>(d, type);
    return saturate ? set_binary<SubSat>(d, type) : set_binary<Sub>(d, type);
  }
  if (op == "mul") return decode_mul(d, type);
  if (op == "mad") return decode_mad(d, type);
  if (op == "div") return set_binary<Div>(d, type);
  if (op == "rem") return set_binary<Rem>(d, type);
  if (op == "min") return set_binary<Min>(d, type);
  if (op == "max") return set_binary<Max>(d, type);
  if (op == "abs" || op == "neg") {
    plain_operands(d, type, type, 1);
    with_integer(d, type, [&](auto t) {
      using T = decltype(t);
      d.inst.run = op == "abs" ? unary<Abs, T, T> : unary<Neg, T, T>;
    });
    return;
  }
  d.error("no integer form");
}

void add_integer_ops(OpTable& table) {
  table["add"] = [](Decoder& d) { route(d, "add"); };
  table["sub"] = [](Decoder& d) { route(d, "sub"); };
  table["mul"] = [](Decoder& d) { route(d, "mul"); };
  table["mad"] = [](Decoder& d) { route(d, "mad"); };
  table["fma"] = [](Decoder& d) { route(d, "fma"); };
  table["div"] = [](Decoder& d) { route(d, "div"); };
  table["rem"] = [](Decoder& d) { route(d, "rem"); };
  table["min"] = [](Decoder& d) { route(d, "min"); };
  table["max"] = [](Decoder& d) { route(d, "max"); };
  table["abs"] = [](Decoder& d) { route(d, "abs"); };
  table["neg"] = [](Decoder& d) { route(d, "neg"); };
  table["sad"] = decode_sad;
  table["dp4a"] = decode_dp4a;
}

}  // namespace ft::sim
