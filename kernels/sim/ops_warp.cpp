// Operations that exchange values between the lanes of a warp. The scheduler calls them once all members that
// have not left are there; m are those members.
#include "kernels/sim/lanes.h"

namespace ft::sim {
namespace {

using ptx::Type;

constexpr uint8_t negated_source = 1, writes_predicate = 2;

void exchange(Decoder& d, const ptx::Operand& members) {
  d.inst.flow = Flow::warp_sync;
  d.inst.inst_class = InstClass::warp_exchange;
  d.read(&Inst::e, members, Type::b32);
}

enum Shuffle : uint8_t { up, down, butterfly, index };

void shuffle(Warp& w, const Inst& in, Mask m) {
  uint32_t from[lane_count], got[lane_count];
  const auto* a = w.reg<uint32_t>(in.a);
  const auto* b = w.reg<uint32_t>(in.b);
  const auto* c = w.reg<uint32_t>(in.c);
  Mask valid = 0;
  for (uint32_t lane = 0; lane < lane_count; ++lane) {
    const uint32_t segment = c[lane] >> 8 & 31, clamp = c[lane] & 31, by = b[lane] & 31;
    const uint32_t low = lane & segment, high = low | (clamp & ~segment);
    int32_t j = 0;
    bool ok = false;
    switch (in.mode) {
      case up:
        j = static_cast<int32_t>(lane) - static_cast<int32_t>(by);
        ok = j >= static_cast<int32_t>(high);  // for up, the clamp is the lowest lane
        break;
      case down:
        j = static_cast<int32_t>(lane + by), ok = j <= static_cast<int32_t>(high);
        break;
      case butterfly:
        j = static_cast<int32_t>(lane ^ by), ok = j <= static_cast<int32_t>(high);
        break;
      default:
        j = static_cast<int32_t>(low | (by & ~segment)), ok = j <= static_cast<int32_t>(high);
        break;
    }
    from[lane] = ok ? static_cast<uint32_t>(j) & 31 : lane;
    valid |= static_cast<Mask>(ok) << lane;
  }
  for (int i = 0; i < lane_count; ++i) got[i] = a[from[i]];
  auto* d = w.reg<uint32_t>(in.d);
  for_lanes(m, [&](int i) { d[i] = got[i]; });
  if (in.flags & writes_predicate) {
    blend_predicate(w.pred(w.block->program->slots[in.list]), valid, m);
  }
}

void decode_shuffle(Decoder& d) {
  if (!d.take(".sync")) d.error("expected .sync");
  const int mode = d.take_one({".up", ".down", ".bfly", ".idx"});
  if (mode < 0) d.error("unknown shuffle");
  d.inst.mode = static_cast<uint8_t>(mode);
  if (d.take_type() != Type::b32) d.error("expected .b32");
  d.expect_operands(5, 5);
  ptx::Operand first = d.operand(0);
  const std::string_view second = first.second;
  d.write(&Inst::d, first, 4);
  if (!second.empty()) {
    first.kind = ptx::Operand::Kind::name;
    first.name = second;
    first.second = {};
    d.list_write(first, 0);
    d.inst.flags |= writes_predicate;
  }
  d.read(&Inst::a, d.operand(1), Type::b32);
  d.read(&Inst::b, d.operand(2), Type::b32);
  d.read(&Inst::c, d.operand(3), Type::b32);
  exchange(d, d.operand(4));
  d.inst.run = shuffle;
}

enum Vote : uint8_t { all, any, uniform, ballot };

void vote(Warp& w, const Inst& in, Mask m) {
  const Mask yes = (w.pred(in.a) ^ (in.flags & negated_source ? full_mask : 0)) & m;
  if (in.mode == ballot) {
    auto* d = w.reg<uint32_t>(in.d);
    for_lanes(m, [&](int i) { d[i] = yes; });
    return;
  }
  const bool result = in.mode == all ? yes == m : in.mode == any ? yes != 0 : yes == m || yes == 0;
  blend_predicate(w.pred(in.d), result ? full_mask : 0, m);
}

void decode_vote(Decoder& d) {
  if (!d.take(".sync")) d.error("expected .sync");
  const int mode = d.take_one({".all", ".any", ".uni", ".ballot"});
  if (mode < 0) d.error("unknown vote");
  d.inst.mode = static_cast<uint8_t>(mode);
  d.take_type();
  d.expect_operands(3, 3);
  d.write(&Inst::d, d.operand(0), mode == ballot ? 4 : 0);
  d.read_predicate(&Inst::a, d.operand(1));
  if (d.operand(1).negated) d.inst.flags = negated_source;
  exchange(d, d.operand(2));
  d.inst.run = vote;
}

template <class T, bool all_equal>
void match(Warp& w, const Inst& in, Mask m) {
  const T* a = w.reg<T>(in.a);
  Mask same[lane_count] = {};
  for_lanes(m, [&](int i) { for_lanes(m, [&](int j) { same[i] |= static_cast<Mask>(a[i] == a[j]) << j; }); });
  auto* d = w.reg<uint32_t>(in.d);
  const bool equal = same[std::countr_zero(m)] == m;
  for_lanes(m, [&](int i) { d[i] = all_equal ? (equal ? m : 0) : same[i]; });
  if (in.flags & writes_predicate) blend_predicate(w.pred(in.b), equal ? full_mask : 0, m);
}

void decode_match(Decoder& d) {
  const bool all_equal = d.take(".all");
  if (!all_equal && !d.take(".any")) d.error("expected .all or .any");
  if (!d.take(".sync")) d.error("expected .sync");
  const Type type = d.take_type();
  d.expect_operands(3, 3);
  ptx::Operand first = d.operand(0);
  d.write(&Inst::d, first, 4);
  if (!first.second.empty()) {
    first.kind = ptx::Operand::Kind::name;
    first.name = first.second;
    d.write(&Inst::b, first, 0);
    d.inst.flags = writes_predicate;
  }
  d.read(&Inst::a, d.operand(1), type);
  exchange(d, d.operand(2));
  if (type == Type::b32) {
    d.inst.run = all_equal ? match<uint32_t, true> : match<uint32_t, false>;
  } else {
    d.inst.run = all_equal ? match<uint64_t, true> : match<uint64_t, false>;
  }
}

enum Reduction : uint8_t { add, minimum, maximum, bit_and, bit_or, bit_xor };

template <class T>
void reduce(Warp& w, const Inst& in, Mask m) {
  const T* a = w.reg<T>(in.a);
  T result = a[std::countr_zero(m)];
  for_lanes(m & (m - 1), [&](int i) {
    switch (in.mode) {
      case add:
        result = static_cast<T>(static_cast<uint32_t>(result) + static_cast<uint32_t>(a[i]));
        break;
      case minimum:
        result = std::min(result, a[i]);
        break;
      case maximum:
        result = std::max(result, a[i]);
        break;
      case bit_and:
        result &= a[i];
        break;
      case bit_or:
        result |= a[i];
        break;
      default:
        result ^= a[i];
        break;
    }
  });
  T* d = w.reg<T>(in.d);
  for_lanes(m, [&](int i) { d[i] = result; });
}

void decode_reduce(Decoder& d) {
  if (!d.take(".sync")) d.error("expected .sync");
  const int op = d.take_one({".add", ".min", ".max", ".and", ".or", ".xor"});
  if (op < 0) d.error("unknown reduction");
  d.inst.mode = static_cast<uint8_t>(op);
  const Type type = d.take_type();
  if (ptx::bytes_of(type) != 4 || type == Type::f32) d.error("a 32-bit integer is expected");
  d.expect_operands(3, 3);
  d.write(&Inst::d, d.operand(0), 4);
  d.read(&Inst::a, d.operand(1), type);
  exchange(d, d.operand(2));
  d.inst.run = type == Type::s32 ? reduce<int32_t> : reduce<uint32_t>;
}

void decode_activemask(Decoder& d) {
  d.inst.inst_class = InstClass::warp_exchange;
  d.take_type();
  d.expect_operands(1, 1);
  d.write(&Inst::d, d.operand(0), 4);
  d.inst.run = [](Warp& w, const Inst& in, Mask m) {
    for_lanes(m, [&](int i) { w.reg<uint32_t>(in.d)[i] = m; });
  };
}

}  // namespace

void add_warp_ops(OpTable& table) {
  table["shfl"] = decode_shuffle;
  table["vote"] = decode_vote;
  table["match"] = decode_match;
  table["redux"] = decode_reduce;
  table["activemask"] = decode_activemask;
}

}  // namespace ft::sim
