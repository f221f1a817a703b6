// setp, set, selp, slct. A comparison gives one bit a lane; .and/.or/.xor combine it with another predicate.
#include "kernels/sim/float_format.h"
#include "kernels/sim/lanes.h"

namespace ft::sim {
namespace {

using ptx::Type;

enum Compare : int { eq, ne, lt, le, gt, ge, equ, neu, ltu, leu, gtu, geu, num, nan_, compare_count };

template <int how, class T>
bool compare(T a, T b) {
  switch (how) {
    case eq:
      return a == b;
    case ne:
      return a < b || a > b;  // ordered
    case lt:
      return a < b;
    case le:
      return a <= b;
    case gt:
      return a > b;
    case ge:
      return a >= b;
    case equ:
      return !(a < b || a > b);
    case neu:
      return !(a == b);
    case ltu:
      return !(a >= b);
    case leu:
      return !(a > b);
    case gtu:
      return !(a <= b);
    case geu:
      return !(a < b);
    case num:
      return a == a && b == b;
    default:
      return a != a || b != b;
  }
}

enum Combine : uint8_t { none, with_and, with_or, with_xor };
constexpr uint8_t negate_c = 1, writes_second = 2, flush_inputs = 4;

template <int how, class T>
Mask compare_lanes(Warp& w, const Inst& in) {
  return mask_of([](T a, T b) { return compare<how, T>(a, b); }, w.reg<T>(in.a), w.reg<T>(in.b));
}
template <int how>
Mask compare_flushed(Warp& w, const Inst& in) {
  return mask_of([](float a, float b) { return compare<how>(flush(a), flush(b)); }, w.reg<float>(in.a),
                 w.reg<float>(in.b));
}
template <int how, float (*widen)(uint16_t)>
Mask compare_halves(Warp& w, const Inst& in) {
  return mask_of([](uint16_t a, uint16_t b) { return compare<how>(widen(a), widen(b)); },
                 w.reg<uint16_t>(in.a), w.reg<uint16_t>(in.b));
}

Mask combine(const Inst& in, Mask t, Mask c) {
  switch (in.mode) {
    case with_and:
      return t & c;
    case with_or:
      return t | c;
    case with_xor:
      return t ^ c;
    default:
      return t;
  }
}

template <Mask (*compare_all)(Warp&, const Inst&)>
void set_predicate(Warp& w, const Inst& in, Mask m) {
  const Mask t = compare_all(w, in);
  const Mask c = w.pred(in.c) ^ (in.flags & negate_c ? full_mask : 0);
  blend_predicate(w.pred(in.d), combine(in, t, c), m);
  if (in.flags & writes_second) blend_predicate(w.pred(in.e), combine(in, ~t, c), m);
}

template <Mask (*compare_all)(Warp&, const Inst&)>
void set_number(Warp& w, const Inst& in, Mask m) {  // in.imm is what true writes
  const Mask c = w.pred(in.c) ^ (in.flags & negate_c ? full_mask : 0);
  const Mask t = combine(in, compare_all(w, in), c);
  auto* d = w.reg<uint32_t>(in.d);
  for_lanes(m, [&](int lane) { d[lane] = (t >> lane & 1) ? static_cast<uint32_t>(in.imm) : 0u; });
}

template <int how, bool number>
Handler pick_type(Type type, bool ftz) {
  const auto make = []<Mask (*f)(Warp&, const Inst&)>() { return number ? set_number<f> : set_predicate<f>; };
  switch (type) {
    case Type::b16:
    case Type::u16:
      return make.template operator()<compare_lanes<how, uint16_t>>();
    case Type::b32:
    case Type::u32:
      return make.template operator()<compare_lanes<how, uint32_t>>();
    case Type::b64:
    case Type::u64:
      return make.template operator()<compare_lanes<how, uint64_t>>();
    case Type::s16:
      return make.template operator()<compare_lanes<how, int16_t>>();
    case Type::s32:
      return make.template operator()<compare_lanes<how, int32_t>>();
    case Type::s64:
      return make.template operator()<compare_lanes<how, int64_t>>();
    case Type::f32:
      return ftz ? make.template operator()<compare_flushed<how>>()
                 : make.template operator()<compare_lanes<how, float>>();
    case Type::f64:
      return make.template operator()<compare_lanes<how, double>>();
    case Type::f16:
      return make.template operator()<compare_halves<how, half_to_float>>();
    case Type::bf16:
      return make.template operator()<compare_halves<how, bf16_to_float>>();
    default:
      return nullptr;
  }
}

template <bool number, int... how>
Handler pick(int which, Type type, bool ftz, std::integer_sequence<int, how...>) {
  Handler result = nullptr;
  ((which == how ? void(result = pick_type<how, number>(type, ftz)) : void()), ...);
  return result;
}

// lo, ls, hi, hs are the unsigned names of lt, le, gt, ge.
int take_comparison(Decoder& d) {
  const int how = d.take_one({".eq", ".ne", ".lt", ".le", ".gt", ".ge", ".equ", ".neu", ".ltu", ".leu",
                              ".gtu", ".geu", ".num", ".nan", ".lo", ".ls", ".hi", ".hs"});
  if (how < 0) d.error("expected a comparison");
  return how < compare_count ? how : how - compare_count + lt;
}

void decode_combination(Decoder& d, size_t at) {
  d.inst.mode = static_cast<uint8_t>(d.take_one({".and", ".or", ".xor"}) + 1);
  d.expect_operands(d.inst.mode == none ? at : at + 1, d.inst.mode == none ? at : at + 1);
  d.inst.c = constant_false;
  if (d.inst.mode == none) return;
  d.read_predicate(&Inst::c, d.operand(at));
  if (d.operand(at).negated) d.inst.flags |= negate_c;
}

void decode_setp(Decoder& d) {
  d.inst.inst_class = InstClass::predicate;
  const int how = take_comparison(d);
  const bool ftz = d.take(".ftz");
  const Type type = d.take_type();
  decode_combination(d, 3);
  ptx::Operand first = d.operand(0);
  d.write(&Inst::d, first, 0);
  if (!first.second.empty()) {
    first.name = first.second;
    d.write(&Inst::e, first, 0);
    d.inst.flags |= writes_second;
  }
  d.read(&Inst::a, d.operand(1), type);
  d.read(&Inst::b, d.operand(2), type);
  d.inst.run = pick<false>(how, type, ftz, std::make_integer_sequence<int, compare_count>{});
  if (d.inst.run == nullptr) d.error("this type cannot be compared");
}

void decode_set(Decoder& d) {
  d.inst.inst_class = InstClass::predicate;
  const int how = take_comparison(d);
  const bool ftz = d.take(".ftz");
  const Type result = d.take_type(), type = d.take_type();
  if (result != Type::u32 && result != Type::s32 && result != Type::f32)
    d.error("a 32-bit result is expected");
  decode_combination(d, 3);
  d.write(&Inst::d, d.operand(0), 4);
  d.read(&Inst::a, d.operand(1), type);
  d.read(&Inst::b, d.operand(2), type);
  d.inst.imm = result == Type::f32 ? 0x3f800000 : 0xffffffff;
  d.inst.run = pick<true>(how, type, ftz, std::make_integer_sequence<int, compare_count>{});
  if (d.inst.run == nullptr) d.error("this type cannot be compared");
}

template <class T>
void select(Warp& w, const Inst& in, Mask m) {
  const Mask p = w.pred(in.c);
  T* d = w.reg<T>(in.d);
  const T *a = w.reg<T>(in.a), *b = w.reg<T>(in.b);
#pragma GCC ivdep
  for (int i = 0; i < lane_count; ++i) {
    const T v = (p >> i & 1) ? a[i] : b[i];
    d[i] = (m >> i & 1) ? v : d[i];
  }
}

void decode_selp(Decoder& d) {
  d.inst.inst_class = InstClass::move;
  const Type type = d.take_type();
  d.expect_operands(4, 4);
  d.write(&Inst::d, d.operand(0), ptx::bytes_of(type));
  d.read(&Inst::a, d.operand(1), type);
  d.read(&Inst::b, d.operand(2), type);
  d.read_predicate(&Inst::c, d.operand(3));
  if (d.operand(3).negated) d.error("a negated selector");
  switch (ptx::bytes_of(type)) {
    case 2:
      d.inst.run = select<uint16_t>;
      break;
    case 4:
      d.inst.run = select<uint32_t>;
      break;
    case 8:
      d.inst.run = select<uint64_t>;
      break;
    default:
      d.error("this type cannot be selected");
  }
}

template <class T, class C>
void select_by_sign(Warp& w, const Inst& in, Mask m) {
  each_lane(
      m, w.reg<T>(in.d), [](T a, T b, C c) { return c >= C(0) ? a : b; }, w.reg<T>(in.a), w.reg<T>(in.b),
      w.reg<C>(in.c));
}

void decode_slct(Decoder& d) {
  d.inst.inst_class = InstClass::move;
  d.take(".ftz");  // a flushed subnormal has the sign that decides already, but for -x, which counts as zero
  const Type type = d.take_type(), sign = d.take_type();
  d.expect_operands(4, 4);
  d.write(&Inst::d, d.operand(0), ptx::bytes_of(type));
  d.read(&Inst::a, d.operand(1), type);
  d.read(&Inst::b, d.operand(2), type);
  d.read(&Inst::c, d.operand(3), sign);
  const bool by_float = sign == Type::f32;
  switch (ptx::bytes_of(type)) {
    case 4:
      d.inst.run = by_float ? select_by_sign<uint32_t, float> : select_by_sign<uint32_t, int32_t>;
      break;
    case 8:
      d.inst.run = by_float ? select_by_sign<uint64_t, float> : select_by_sign<uint64_t, int32_t>;
      break;
    default:
      d.error("this type cannot be selected");
  }
}

}  // namespace

void add_compare_ops(OpTable& table) {
  table["setp"] = decode_setp;
  table["set"] = decode_set;
  table["selp"] = decode_selp;
  table["slct"] = decode_slct;
}

}  // namespace ft::sim
