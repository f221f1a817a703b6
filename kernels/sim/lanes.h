// Loops over the 32 lanes of a warp. Operands are whole vectors in the register file; with a full mask the
// loop is plain and the compiler vectorises it, with a partial one the result is blended, so an operation
// must be defined for any input. A result may be the very register of an operand, never a part of one.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/sim/decode.h"
#include "kernels/sim/warp.h"

namespace ft::sim {

template <class F, class R, class... A>
inline void each_lane(Mask m, R* d, F f, const A*... a) {
  if (m == full_mask) {
#pragma GCC ivdep
    for (int i = 0; i < lane_count; ++i) d[i] = f(a[i]...);
  } else {
#pragma GCC ivdep
    for (int i = 0; i < lane_count; ++i) {
      const R v = f(a[i]...);
      d[i] = (m >> i & 1) ? v : d[i];
    }
  }
}

/// Op::apply(a[, b[, c]]) on vectors of A, B, C into one of R.
template <class Op, class R, class A>
void unary(Warp& w, const Inst& in, Mask m) {
  each_lane(
      m, w.reg<R>(in.d), [](A a) { return static_cast<R>(Op::template apply<A>(a)); }, w.reg<A>(in.a));
}
template <class Op, class R, class A, class B = A>
void binary(Warp& w, const Inst& in, Mask m) {
  each_lane(
      m, w.reg<R>(in.d), [](A a, B b) { return static_cast<R>(Op::template apply<A>(a, b)); }, w.reg<A>(in.a),
      w.reg<B>(in.b));
}
template <class Op, class R, class A, class B = A, class C = A>
void ternary(Warp& w, const Inst& in, Mask m) {
  each_lane(
      m, w.reg<R>(in.d), [](A a, B b, C c) { return static_cast<R>(Op::template apply<A>(a, b, c)); },
      w.reg<A>(in.a), w.reg<B>(in.b), w.reg<C>(in.c));
}

/// One bit a lane of f(lane's operands); bits outside of m are arbitrary.
template <class F, class... A>
inline Mask mask_of(F f, const A*... a) {
  Mask result = 0;
  uint32_t yes[lane_count];
#pragma GCC ivdep
  for (int i = 0; i < lane_count; ++i) yes[i] = f(a[i]...) ? 1u : 0u;
#pragma GCC ivdep
  for (int i = 0; i < lane_count; ++i) result |= yes[i] << i;
  return result;
}

inline void blend_predicate(Mask& d, Mask value, Mask m) {
  d = (d & ~m) | (value & m);
}

/// Calls f(lane) for the lanes of m in order.
template <class F>
inline void for_lanes(Mask m, F f) {
  for (; m != 0; m &= m - 1) f(std::countr_zero(m));
}

/// Calls visit(T{}) with the C++ type of an integer PTX type; untyped bits count as unsigned.
template <class Visit>
void with_integer(Decoder& d, ptx::Type type, Visit visit) {
  switch (type) {
    case ptx::Type::b16:
    case ptx::Type::u16:
      return visit(uint16_t{});
    case ptx::Type::b32:
    case ptx::Type::u32:
      return visit(uint32_t{});
    case ptx::Type::b64:
    case ptx::Type::u64:
      return visit(uint64_t{});
    case ptx::Type::s16:
      return visit(int16_t{});
    case ptx::Type::s32:
      return visit(int32_t{});
    case ptx::Type::s64:
      return visit(int64_t{});
    default:
      d.error("an integer type of 16, 32 or 64 bits is expected");
  }
}

/// Reads operands 1.. into a, b, c as `type` and names operand 0 as the destination.
inline void plain_operands(Decoder& d, ptx::Type result, ptx::Type type, size_t sources) {
  d.expect_operands(sources + 1, sources + 1);
  d.write(&Inst::d, d.operand(0), ptx::bytes_of(result));
  constexpr Slot Inst::*fields[] = {&Inst::a, &Inst::b, &Inst::c};
  for (size_t i = 0; i < sources; ++i) d.read(fields[i], d.operand(i + 1), type);
}

/// Arithmetic on one kind of type, chosen by the type of add, sub, mul, mad, fma, div, rem, min, max, abs,
/// neg.
void decode_integer_arithmetic(Decoder& d, std::string_view op, ptx::Type type);
void decode_float_arithmetic(Decoder& d, std::string_view op, ptx::Type type);
void decode_half_arithmetic(Decoder& d, std::string_view op, ptx::Type type);

}  // namespace ft::sim
