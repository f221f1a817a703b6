// Logic, shifts and permutation of bytes. Shift amounts beyond the width clamp, as PTX
// says.
#include <type_traits>

#include "kernels/sim/lanes.h"

namespace ft::sim {
namespace {

using ptx::Type;

struct And {
  template <class T>
  static T apply(T a, T b) {
    return a & b;
  }
};
struct Or {
  template <class T>
  static T apply(T a, T b) {
    return a | b;
  }
};
struct Xor {
  template <class T>
  static T apply(T a, T b) {
    return a ^ b;
  }
};
struct Not {
  template <class T>
  static T apply(T a) {
    return static_cast<T>(~a);
  }
};
struct CNot {
  template <class T>
  static T apply(T a) {
    return a == 0;
  }
};
struct ShiftLeft {
  template <class T>
  static T apply(T a, uint32_t n) {
    return n >= 8 * sizeof(T) ? T{0} : static_cast<T>(a << (n % (8 * sizeof(T))));
  }
};
struct ShiftRight {
  template <class T>
  static T apply(T a, uint32_t n) {
    constexpr uint32_t last = 8 * sizeof(T) - 1;
    if constexpr (std::is_signed_v<T>) return static_cast<T>(a >> (n > last ? last : n));
    return n > last ? T{0} : static_cast<T>(a >> (n & last));
  }
};

template <class Op>
void predicate_binary(Warp& w, const Inst& in, Mask m) {
  blend_predicate(w.pred(in.d), Op::template apply<Mask>(w.pred(in.a), w.pred(in.b)), m);
}
void predicate_not(Warp& w, const Inst& in, Mask m) {
  blend_predicate(w.pred(in.d), ~w.pred(in.a), m);
}

template <class Op>
void decode_logic(Decoder& d) {
  const Type type = d.take_type();
  plain_operands(d, type, type, 2);
  if (type == Type::pred) {
    d.inst.inst_class = InstClass::predicate;
    d.inst.run = predicate_binary<Op>;
    return;
  }
  d.inst.inst_class = InstClass::logic;
  with_integer(d, type, [&](auto t) { d.inst.run = binary<Op, decltype(t), decltype(t)>; });
}

void decode_not(Decoder& d) {
  const Type type = d.take_type();
  plain_operands(d, type, type, 1);
  d.inst.inst_class = type == Type::pred ? InstClass::predicate : InstClass::logic;
  if (type == Type::pred) {
    d.inst.run = predicate_not;
    return;
  }
  with_integer(d, type, [&](auto t) { d.inst.run = unary<Not, decltype(t), decltype(t)>; });
}

void decode_cnot(Decoder& d) {
  const Type type = d.take_type();
  plain_operands(d, type, type, 1);
  d.inst.inst_class = InstClass::logic;
  with_integer(d, type, [&](auto t) { d.inst.run = unary<CNot, decltype(t), decltype(t)>; });
}

template <class Op>
void decode_shift(Decoder& d) {
  const Type type = d.take_type();
  d.inst.inst_class = InstClass::logic;
  d.expect_operands(3, 3);
  d.write(&Inst::d, d.operand(0), ptx::bytes_of(type));
  d.read(&Inst::a, d.operand(1), type);
  d.read(&Inst::b, d.operand(2), Type::u32);
  with_integer(d, type, [&](auto t) { d.inst.run = binary<Op, decltype(t), decltype(t), uint32_t>; });
}

template <bool left, bool clamp>
struct Funnel {
  template <class T>
  static T apply(T low, T high, T n) {
    const uint32_t by = clamp ? (n > 32 ? 32 : n) : n & 31;
    const uint64_t both = (uint64_t{high} << 32) | low;
    return left ? static_cast<uint32_t>((both << by) >> 32) : static_cast<uint32_t>(both >> by);
  }
};

void decode_funnel(Decoder& d) {
  d.inst.inst_class = InstClass::logic;
  const bool left = d.take(".l");
  if (!left && !d.take(".r")) d.error("expected .l or .r");
  const bool clamp = d.take(".clamp");
  if (!clamp && !d.take(".wrap")) d.error("expected .clamp or .wrap");
  if (d.take_type() != Type::b32) d.error("expected .b32");
  plain_operands(d, Type::b32, Type::b32, 3);
  using T = uint32_t;
  d.inst.run = left ? (clamp ? ternary<Funnel<true, true>, T, T> : ternary<Funnel<true, false>, T, T>)
                    : (clamp ? ternary<Funnel<false, true>, T, T> : ternary<Funnel<false, false>, T, T>);
}

struct Permute {
  template <class T>
  static T apply(T a, T b, T selector) {
    const uint64_t bytes = (uint64_t{b} << 32) | a;
    uint32_t result = 0;
    for (int i = 0; i < 4; ++i) {
      const uint32_t s = selector >> (4 * i) & 15;
      uint32_t byte = static_cast<uint32_t>(bytes >> (8 * (s & 7)) & 0xff);
      if (s & 8) byte = (byte & 0x80) ? 0xff : 0;
      result |= byte << (8 * i);
    }
    return result;
  }
};

void decode_prmt(Decoder& d) {
  d.inst.inst_class = InstClass::logic;
  if (d.take_type() != Type::b32) d.error("expected .b32");
  plain_operands(d, Type::b32, Type::b32, 3);
  d.inst.run = ternary<Permute, uint32_t, uint32_t>;
}

template <int bit>
uint32_t pick(uint32_t table, uint32_t x) {
  return (table >> bit & 1) ? x : 0u;
}

// in.imm is the truth table; inputs index it as a=0xF0, b=0xCC, c=0xAA.
void lop3(Warp& w, const Inst& in, Mask m) {
  const auto t = static_cast<uint32_t>(in.imm);
  each_lane(
      m, w.reg<uint32_t>(in.d),
      [t](uint32_t a, uint32_t b, uint32_t c) {
        return pick<0>(t, ~a & ~b & ~c) | pick<1>(t, ~a & ~b & c) | pick<2>(t, ~a & b & ~c) |
               pick<3>(t, ~a & b & c) | pick<4>(t, a & ~b & ~c) | pick<5>(t, a & ~b & c) |
               pick<6>(t, a & b & ~c) | pick<7>(t, a & b & c);
      },
      w.reg<uint32_t>(in.a), w.reg<uint32_t>(in.b), w.reg<uint32_t>(in.c));
}

void decode_lop3(Decoder& d) {
  d.inst.inst_class = InstClass::logic;
  if (d.take_type() != Type::b32) d.error("expected .b32");
  d.expect_operands(5, 5);
  d.write(&Inst::d, d.operand(0), 4);
  d.read(&Inst::a, d.operand(1), Type::b32);
  d.read(&Inst::b, d.operand(2), Type::b32);
  d.read(&Inst::c, d.operand(3), Type::b32);
  if (d.operand(4).kind != ptx::Operand::Kind::integer || d.operand(4).bits > 255)
    d.error("a truth table is expected");
  d.inst.imm = static_cast<int64_t>(d.operand(4).bits);
  d.inst.run = lop3;
}

}  // namespace

void add_logic_ops(OpTable& table) {
  table["and"] = decode_logic<And>;
  table["or"] = decode_logic<Or>;
  table["xor"] = decode_logic<Xor>;
  table["not"] = decode_not;
  table["cnot"] = decode_cnot;
  table["shl"] = decode_shift<ShiftLeft>;
  table["shr"] = decode_shift<ShiftRight>;
  table["shf"] = decode_funnel;
  table["prmt"] = decode_prmt;
  table["lop3"] = decode_lop3;
}

}  // namespace ft::sim
