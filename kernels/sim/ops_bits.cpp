// Fields of bits, counting and reversing.
#include <algorithm>
#include <type_traits>

#include "kernels/sim/lanes.h"

namespace ft::sim {
namespace {

using ptx::Type;

// The sign of a field is its top bit, or the operand's top bit where the field reaches beyond it.
struct Extract {
  template <class T>
  static T apply(T a, uint32_t position, uint32_t length) {
    using U = std::make_unsigned_t<T>;
    constexpr uint32_t width = 8 * sizeof(T);
    position &= 0xff;
    length &= 0xff;
    const U sign = std::is_signed_v<T> && length > 0 &&
                   (U(a) >> (position + length - 1 < width ? position + length - 1 : width - 1) & 1);
    U value = position < width ? U(U(a) >> position) : U{0};
    const uint32_t have = position < width ? width - position : 0;
    const uint32_t keep = length < have ? length : have;
    const U mask = keep >= width ? ~U{0} : (U{1} << keep) - 1;
    value &= mask;
    return static_cast<T>(sign ? value | ~mask : value);
  }
};

struct Insert {
  template <class T>
  static T apply(T a, T b, uint32_t position, uint32_t length) {
    constexpr uint32_t width = 8 * sizeof(T);
    position &= 0xff;
    length &= 0xff;
    if (position >= width) return b;
    const T field = length >= width ? ~T{0} : (T{1} << length) - 1;
    const T mask = field << position;
    return (b & ~mask) | ((a << position) & mask);
  }
};

void decode_bfe(Decoder& d) {
  d.inst.inst_class = InstClass::logic;
  const Type type = d.take_type();
  d.expect_operands(4, 4);
  d.write(&Inst::d, d.operand(0), ptx::bytes_of(type));
  d.read(&Inst::a, d.operand(1), type);
  d.read(&Inst::b, d.operand(2), Type::u32);
  d.read(&Inst::c, d.operand(3), Type::u32);
  with_integer(d, type, [&](auto t) {
    using T = decltype(t);
    if constexpr (sizeof(T) > 2) d.inst.run = ternary<Extract, T, T, uint32_t, uint32_t>;
  });
  if (d.inst.run == nullptr) d.error("bfe of 32 or 64 bits is expected");
}

template <class T>
void insert(Warp& w, const Inst& in, Mask m) {
  each_lane(
      m, w.reg<T>(in.d), [](T a, T b, uint32_t p, uint32_t n) { return Insert::apply(a, b, p, n); },
      w.reg<T>(in.a), w.reg<T>(in.b), w.reg<uint32_t>(in.c), w.reg<uint32_t>(in.e));
}

void decode_bfi(Decoder& d) {
  d.inst.inst_class = InstClass::logic;
  const Type type = d.take_type();
  if (type != Type::b32 && type != Type::b64) d.error("expected .b32 or .b64");
  d.expect_operands(5, 5);
  d.write(&Inst::d, d.operand(0), ptx::bytes_of(type));
  d.read(&Inst::a, d.operand(1), type);
  d.read(&Inst::b, d.operand(2), type);
  d.read(&Inst::c, d.operand(3), Type::u32);
  d.read(&Inst::e, d.operand(4), Type::u32);
  d.inst.run = type == Type::b32 ? insert<uint32_t> : insert<uint64_t>;
}

struct CountOnes {
  template <class T>
  static uint32_t apply(T a) {
    return static_cast<uint32_t>(std::popcount(a));
  }
};
struct CountLeadingZeros {
  template <class T>
  static uint32_t apply(T a) {
    return static_cast<uint32_t>(std::countl_zero(a));
  }
};
struct Reverse {
  template <class T>
  static T apply(T a) {
    T r = 0;
    for (size_t i = 0; i < 8 * sizeof(T); ++i, a >>= 1) r = static_cast<T>(r << 1) | (a & 1);
    return r;
  }
};
// Position of the highest bit that differs from the sign; all ones where there is none.
template <bool shift_amount>
struct FindTop {
  template <class T>
  static uint32_t apply(T a) {
    using U = std::make_unsigned_t<T>;
    const U bits = static_cast<U>(std::is_signed_v<T> && a < 0 ? ~a : a);
    if (bits == 0) return 0xffffffffu;
    const auto zeros = static_cast<uint32_t>(std::countl_zero(bits));
    return shift_amount ? zeros : 8 * sizeof(T) - 1 - zeros;
  }
};

template <class Op>
void decode_count(Decoder& d) {
  d.inst.inst_class = InstClass::logic;
  const Type type = d.take_type();
  plain_operands(d, Type::u32, type, 1);
  if (type != Type::b32 && type != Type::b64) d.error("expected .b32 or .b64");
  d.inst.run = type == Type::b32 ? unary<Op, uint32_t, uint32_t> : unary<Op, uint32_t, uint64_t>;
}

void decode_brev(Decoder& d) {
  d.inst.inst_class = InstClass::logic;
  const Type type = d.take_type();
  plain_operands(d, type, type, 1);
  if (type != Type::b32 && type != Type::b64) d.error("expected .b32 or .b64");
  d.inst.run = type == Type::b32 ? unary<Reverse, uint32_t, uint32_t> : unary<Reverse, uint64_t, uint64_t>;
}

void decode_bfind(Decoder& d) {
  d.inst.inst_class = InstClass::logic;
  const bool shift = d.take(".shiftamt");
  const Type type = d.take_type();
  plain_operands(d, Type::u32, type, 1);
  with_integer(d, type, [&](auto t) {
    using T = decltype(t);
    if constexpr (sizeof(T) > 2) {
      d.inst.run = shift ? unary<FindTop<true>, uint32_t, T> : unary<FindTop<false>, uint32_t, T>;
    }
  });
  if (d.inst.run == nullptr) d.error("bfind of 32 or 64 bits is expected");
}

}  // namespace

void add_bit_ops(OpTable& table) {
  table["bfe"] = decode_bfe;
  table["bfi"] = decode_bfi;
  table["popc"] = decode_count<CountOnes>;
  table["clz"] = decode_count<CountLeadingZeros>;
  table["brev"] = decode_brev;
  table["bfind"] = decode_bfind;
}

}  // namespace ft::sim
