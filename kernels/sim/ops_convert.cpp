// cvt. Common pairs have vectorised loops; every other pair of types goes through a general path that carries
// the value exactly (128-bit integer or double) and rounds once.
#include <limits>

#include "kernels/sim/float_format.h"
#include "kernels/sim/lanes.h"

namespace ft::sim {
namespace {

using ptx::Type;

constexpr uint8_t flag_integral = 1, flag_saturate = 2, flag_flush = 4, flag_relu = 8;

bool is_float(Type t) {
  return t == Type::f16 || t == Type::bf16 || t == Type::f32 || t == Type::f64;
}

struct Plan {  // packed into Inst::imm
  Type to, from;
  uint8_t to_bytes, from_bytes;  // of the registers
};
int64_t pack(Plan p) {
  return static_cast<int64_t>(p.to) | static_cast<int64_t>(p.from) << 8 | int64_t{p.to_bytes} << 16 |
         int64_t{p.from_bytes} << 24;
}
Plan unpack(int64_t bits) {
  return {static_cast<Type>(bits & 255), static_cast<Type>(bits >> 8 & 255),
          static_cast<uint8_t>(bits >> 16 & 255), static_cast<uint8_t>(bits >> 24 & 255)};
}

uint64_t load_bits(Warp& w, Slot slot, int bytes, int lane) {
  switch (bytes) {
    case 2:
      return w.reg<uint16_t>(slot)[lane];
    case 4:
      return w.reg<uint32_t>(slot)[lane];
    default:
      return w.reg<uint64_t>(slot)[lane];
  }
}
void store_bits(Warp& w, Slot slot, int bytes, int lane, uint64_t value) {
  switch (bytes) {
    case 2:
      w.reg<uint16_t>(slot)[lane] = static_cast<uint16_t>(value);
      break;
    case 4:
      w.reg<uint32_t>(slot)[lane] = static_cast<uint32_t>(value);
      break;
    default:
      w.reg<uint64_t>(slot)[lane] = value;
  }
}

double float_value(Type type, uint64_t bits) {
  switch (type) {
    case Type::f16:
      return half_to_float(static_cast<uint16_t>(bits));
    case Type::bf16:
      return bf16_to_float(static_cast<uint16_t>(bits));
    case Type::f32:
      return std::bit_cast<float>(static_cast<uint32_t>(bits));
    default:
      return std::bit_cast<double>(bits);
  }
}
__int128 integer_value(Type type, uint64_t bits) {
  switch (type) {
    case Type::s8:
      return static_cast<int8_t>(bits);
    case Type::u8:
    case Type::b8:
      return static_cast<uint8_t>(bits);
    case Type::s16:
      return static_cast<int16_t>(bits);
    case Type::u16:
    case Type::b16:
      return static_cast<uint16_t>(bits);
    case Type::s32:
      return static_cast<int32_t>(bits);
    case Type::u32:
    case Type::b32:
      return static_cast<uint32_t>(bits);
    case Type::s64:
      return static_cast<int64_t>(bits);
    default:
      return bits;
  }
}
struct Limits {
  __int128 low, high;
};
Limits limits_of(Type type) {
  const int bits = 8 * ptx::bytes_of(type);
  if (ptx::is_signed(type)) return {-(__int128{1} << (bits - 1)), (__int128{1} << (bits - 1)) - 1};
  return {0, (__int128{1} << bits) - 1};
}

uint64_t float_bits(Type type, double x, RoundMode mode, uint8_t flags) {
  if (flags & flag_integral) x = round_to_integral(x, mode);
  if (flags & flag_saturate) x = x > 0 ? (x < 1 ? x : 1.0) : 0.0;
  if (flags & flag_relu) x = x > 0 || x != x ? x : 0.0;
  const RoundMode rounding = flags & flag_integral ? RoundMode::nearest : mode;
  switch (type) {
    case Type::f16:
      return float_to_half(to_float_odd(x));
    case Type::bf16:
      if (rounding == RoundMode::zero && x == x)
        return std::bit_cast<uint32_t>(to_float(x, RoundMode::zero)) >> 16;
      return float_to_bf16(to_float_odd(x));
    case Type::f32: {
      float f = to_float(x, rounding);
      if (flags & flag_flush) f = flush(f);
      return std::bit_cast<uint32_t>(f);
    }
    default:
      return std::bit_cast<uint64_t>(x);
  }
}

uint64_t convert_one(const Plan& p, uint64_t bits, RoundMode mode, uint8_t flags) {
  if (is_float(p.from)) {
    double x = float_value(p.from, bits);
    if ((flags & flag_flush) && p.from == Type::f32) x = flush(static_cast<float>(x));
    if (is_float(p.to)) return float_bits(p.to, x, mode, flags);
    const Limits limits = limits_of(p.to);
    x = round_to_integral(x, mode);
    if (x != x) return ptx::bytes_of(p.to) == 8 && ptx::is_signed(p.to) ? uint64_t{1} << 63 : 0;
    if (x <= static_cast<double>(limits.low)) return static_cast<uint64_t>(limits.low);
    if (x >= static_cast<double>(limits.high)) return static_cast<uint64_t>(limits.high);
    return static_cast<uint64_t>(static_cast<__int128>(x));
  }
  __int128 v = integer_value(p.from, bits);
  if (!is_float(p.to)) {
    if (flags & flag_saturate) {
      const Limits limits = limits_of(p.to);
      v = v < limits.low ? limits.low : v > limits.high ? limits.high : v;
    }
    return static_cast<uint64_t>(integer_value(p.to, static_cast<uint64_t>(v)));
  }
  if (p.to == Type::f32 && mode == RoundMode::nearest) {
    const float f =
        v < 0 ? static_cast<float>(static_cast<int64_t>(v)) : static_cast<float>(static_cast<uint64_t>(v));
    return std::bit_cast<uint32_t>(flags & flag_saturate ? saturate(f) : f);
  }
  const double x =
      v < 0 ? static_cast<double>(static_cast<int64_t>(v)) : static_cast<double>(static_cast<uint64_t>(v));
  return float_bits(p.to, x, mode, flags & static_cast<uint8_t>(~flag_integral));
}

void convert_any(Warp& w, const Inst& in, Mask m) {
  const Plan p = unpack(in.imm);
  const auto mode = static_cast<RoundMode>(in.mode);
  for_lanes(m, [&](int lane) {
    const uint64_t value = convert_one(p, load_bits(w, in.a, p.from_bytes, lane), mode, in.flags);
    store_bits(w, in.d, p.to_bytes, lane, value);
  });
}

template <class To, class From>
void cast(Warp& w, const Inst& in, Mask m) {
  each_lane(
      m, w.reg<To>(in.d), [](From a) { return static_cast<To>(a); }, w.reg<From>(in.a));
}
template <class To, class From, To (*f)(From)>
void mapped(Warp& w, const Inst& in, Mask m) {
  each_lane(
      m, w.reg<To>(in.d), [](From a) { return f(a); }, w.reg<From>(in.a));
}
template <uint16_t (*narrow)(float)>
void pack_pair(Warp& w, const Inst& in, Mask m) {  // a goes to the upper half
  const bool relu = in.flags & flag_relu;
  each_lane(
      m, w.reg<uint32_t>(in.d),
      [relu](float a, float b) {
        if (relu) {
          a = a > 0 || a != a ? a : 0.0f;
          b = b > 0 || b != b ? b : 0.0f;
        }
        return uint32_t{narrow(a)} << 16 | narrow(b);
      },
      w.reg<float>(in.a), w.reg<float>(in.b));
}
void to_tf32(Warp& w, const Inst& in, Mask m) {
  const bool away = in.mode == 1;  // .rna: ties away from zero; .rn: to even
  each_lane(
      m, w.reg<uint32_t>(in.d),
      [away](uint32_t u) {
        const uint32_t r = (u + (away ? 0x1000u : 0xfffu + (u >> 13 & 1))) & 0xffffe000u;
        return (u & 0x7fffffffu) > 0x7f800000u ? 0x7fffffffu : (u & 0x7f800000u) == 0x7f800000u ? u : r;
      },
      w.reg<uint32_t>(in.a));
}

Handler fast_path(const Plan& p, RoundMode mode, uint8_t flags) {
  const auto pair = [&](Type to, Type from) {
    return p.to == to && p.from == from && p.to_bytes == ptx::bytes_of(to) &&
           p.from_bytes == ptx::bytes_of(from);
  };
  if (flags != 0) return nullptr;
  if (pair(Type::s64, Type::s32)) return cast<int64_t, int32_t>;
  if (pair(Type::u64, Type::u32) || pair(Type::s64, Type::u32)) return cast<uint64_t, uint32_t>;
  if (pair(Type::u32, Type::u64) || pair(Type::s32, Type::s64) || pair(Type::u32, Type::s64))
    return cast<uint32_t, uint64_t>;
  if (pair(Type::u32, Type::u16)) return cast<uint32_t, uint16_t>;
  if (pair(Type::u16, Type::u32)) return cast<uint16_t, uint32_t>;
  if (pair(Type::f32, Type::f16)) return mapped<float, uint16_t, half_to_float>;
  if (pair(Type::f32, Type::bf16)) return mapped<float, uint16_t, bf16_to_float>;
  if (pair(Type::f64, Type::f32)) return cast<double, float>;
  if (mode != RoundMode::nearest) return nullptr;
  if (pair(Type::f32, Type::s32)) return cast<float, int32_t>;
  if (pair(Type::f32, Type::u32)) return cast<float, uint32_t>;
  if (pair(Type::f64, Type::s32)) return cast<double, int32_t>;
  if (pair(Type::f32, Type::f64)) return cast<float, double>;
  if (pair(Type::f16, Type::f32)) return mapped<uint16_t, float, float_to_half>;
  if (pair(Type::bf16, Type::f32)) return mapped<uint16_t, float, float_to_bf16>;
  return nullptr;
}

void decode_pair(Decoder& d, Type to) {
  if (d.take_type() != Type::f32) d.error("a pair is packed from .f32");
  d.expect_operands(3, 3);
  d.write(&Inst::d, d.operand(0), 4);
  d.read(&Inst::a, d.operand(1), Type::f32);
  d.read(&Inst::b, d.operand(2), Type::f32);
  if (!d.take(".rn")) d.error("expected .rn");
  if (d.take(".relu")) d.inst.flags = flag_relu;
  d.inst.run = to == Type::bf16x2 ? pack_pair<float_to_bf16> : pack_pair<float_to_half>;
}

void decode_cvt(Decoder& d) {
  d.inst.inst_class = InstClass::conversion;
  const Type to = d.take_type();
  if (to == Type::bf16x2 || to == Type::f16x2) return decode_pair(d, to);
  const Type from = d.take_type();
  d.expect_operands(2, 2);
  if (to == Type::tf32) {
    plain_operands(d, Type::b32, Type::b32, 1);
    d.inst.mode = d.take(".rna") ? 1 : 0;
    if (d.inst.mode == 0 && !d.take(".rn")) d.error("expected .rna or .rn");
    d.inst.run = to_tf32;
    return;
  }
  for (const Type t : {to, from}) {
    if (ptx::bytes_of(t) == 0 || ptx::bytes_of(t) == 16 || t == Type::f16x2 || t == Type::bf16x2)
      d.error("this conversion");
  }
  const int integral = d.take_one({".rni", ".rzi", ".rmi", ".rpi"});
  const int rounding = d.take_one({".rn", ".rz", ".rm", ".rp"});
  if (integral >= 0) d.inst.flags |= flag_integral;
  if (d.take(".sat")) d.inst.flags |= flag_saturate;
  if (d.take(".ftz")) d.inst.flags |= flag_flush;
  if (d.take(".relu")) d.inst.flags |= flag_relu;
  const auto mode = static_cast<RoundMode>(integral >= 0 ? integral : rounding >= 0 ? rounding : 0);
  if (is_float(from) && !is_float(to) && integral < 0) d.error("a rounding to an integer is expected");
  if (mode != RoundMode::nearest && integral < 0 && (to == Type::f16 || to == Type::f64))
    d.error("this rounding");
  if (mode != RoundMode::nearest && is_float(to) && !is_float(from) && ptx::bytes_of(from) == 8)
    d.error("this rounding");
  d.inst.mode = static_cast<uint8_t>(mode);
  const int to_bytes = d.register_bytes(d.operand(0), ptx::bytes_of(to));
  if (to_bytes < ptx::bytes_of(to) || (is_float(to) && to_bytes != ptx::bytes_of(to)))
    d.error("the result's width");
  d.write(&Inst::d, d.operand(0), to_bytes);
  const int from_bytes = d.read_wide(&Inst::a, d.operand(1), from);
  const Plan plan{to, from, static_cast<uint8_t>(to_bytes), static_cast<uint8_t>(from_bytes)};
  d.inst.imm = pack(plan);
  d.inst.run = fast_path(plan, mode, d.inst.flags);
  if (d.inst.run == nullptr) d.inst.run = convert_any;
}

}  // namespace

void add_convert_ops(OpTable& table) {
  table["cvt"] = decode_cvt;
}

}  // namespace ft::sim
