// cp.async. The bytes of a copy land at the latest moment that the program makes legal, the wait for its
// group: a kernel that reads them earlier reads what was there before.
#include <utility>

#include "kernels/sim/checker.h"
#include "kernels/sim/lanes.h"

namespace ft::sim {
namespace {

using ptx::Type;

constexpr uint32_t uncommitted = UINT32_MAX;

// in.a + in.imm: shared destination; in.b + in.e: global source; in.c: bytes to read, the rest is zeros.
void issue(Warp& w, const Inst& in, Mask m) {
  AsyncCopy copy;
  copy.mask = m;
  copy.pc = pc_of(w, in);
  copy.bytes = in.bytes;
  Addresses to, from;
  resolve(w, in, m, in.bytes, AccessKind::write, to);
  const auto* source = w.reg<uint64_t>(in.b);
  const auto* wanted = w.reg<uint32_t>(in.c);
  const auto offset = static_cast<int64_t>(static_cast<int32_t>(in.e));
  Mask whole = 0;
  for_lanes(m, [&](int i) {
    from.at[i] = source[i] + static_cast<uint64_t>(offset);
    const uint32_t bytes = std::min<uint32_t>(wanted[i], in.bytes);
    copy.source_bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(bytes);
    if (bytes == in.bytes) whole |= Mask{1} << i;
  });
  if (whole != 0) resolve_given(w, in, whole, in.bytes, AccessKind::read, MemorySpace::global, from);
  Tally* tally = std::exchange(w.block->tally,
                               nullptr);  // bytes that are checked one by one are no traffic of their own
  for_lanes(m & ~whole, [&](int i) {
    const uint32_t bytes = copy.source_bytes[static_cast<size_t>(i)];
    if (bytes == 0) return;
    if (from.at[i] % in.bytes != 0)
      resolve_given(w, in, Mask{1} << i, in.bytes, AccessKind::read, MemorySpace::global, from);
    for (uint32_t k = 0; k < bytes; ++k) {
      Addresses one;
      one.at[i] = from.at[i] + k;
      resolve_given(w, in, Mask{1} << i, 1, AccessKind::read, MemorySpace::global, one);
    }
  });
  w.block->tally = tally;
  for_lanes(m, [&](int i) {
    const auto lane = static_cast<size_t>(i);
    copy.group[lane] = uncommitted;
    copy.to[lane] = to.at[i];
    copy.from[lane] = from.at[i];
    if (w.block->checker != nullptr) w.block->checker->async_issue(w, in, i, to.at[i], in.bytes);
  });
  w.copies.push_back(copy);
}

void commit(Warp& w, const Inst&, Mask m) {
  for (AsyncCopy& copy : w.copies) {
    for_lanes(copy.mask & m, [&](int i) {
      uint32_t& group = copy.group[static_cast<size_t>(i)];
      if (group == uncommitted) group = w.committed[static_cast<size_t>(i)];
    });
  }
  for_lanes(m, [&](int i) { ++w.committed[static_cast<size_t>(i)]; });
}

void wait(Warp& w, const Inst& in, Mask m) {
  land_async(w, m, static_cast<uint32_t>(in.imm), in.flags != 0);
}

void decode_issue(Decoder& d) {
  d.inst.inst_class = InstClass::async_copy;
  d.ignore_memory_modifiers();
  if (d.take_one({".shared", ".shared::cta"}) < 0 || !d.take(".global")) d.error("expected .shared.global");
  d.expect_operands(3, 4);
  d.address(d.operand(0), MemorySpace::shared);
  const ptx::Operand& from = d.operand(1);
  if (from.kind != ptx::Operand::Kind::address || from.offset != static_cast<int32_t>(from.offset))
    d.error("a source address");
  ptx::Operand base;
  base.kind = ptx::Operand::Kind::name;
  base.name = from.name;
  d.read(&Inst::b, base, Type::b64);
  d.inst.e = static_cast<Slot>(static_cast<int32_t>(from.offset));
  const uint64_t bytes = d.operand(2).bits;
  if (d.operand(2).kind != ptx::Operand::Kind::integer || (bytes != 4 && bytes != 8 && bytes != 16)) {
    d.error("a copy of 4, 8 or 16 bytes is expected");
  }
  if (d.source->opcode.find(".cg") != std::string_view::npos && bytes != 16) d.error(".cg copies 16 bytes");
  d.inst.bytes = static_cast<uint8_t>(bytes);
  d.inst.c = d.constant(bytes, 4);
  if (d.operand_count() == 4) d.read(&Inst::c, d.operand(3), Type::u32);
  d.inst.run = issue;
}

void decode_cp(Decoder& d) {
  if (!d.take(".async")) d.error("expected .async");
  d.inst.inst_class = InstClass::control;
  if (d.take(".commit_group")) {
    d.inst.run = commit;
  } else if (d.take(".wait_all")) {
    d.inst.flags = 1;
    d.inst.run = wait;
  } else if (d.take(".wait_group")) {
    d.expect_operands(1, 1);
    if (d.operand(0).kind != ptx::Operand::Kind::integer || d.operand(0).bits > 1000)
      d.error("a number of groups");
    d.inst.imm = static_cast<int64_t>(d.operand(0).bits);
    d.inst.run = wait;
  } else {
    decode_issue(d);
  }
}

}  // namespace

void land_async(Warp& w, Mask m, uint32_t keep, bool all) {
  for (AsyncCopy& copy : w.copies) {
    for_lanes(copy.mask & m, [&](int i) {
      const auto lane = static_cast<size_t>(i);
      const bool open = copy.group[lane] == uncommitted;
      if (!all && (open || copy.group[lane] + keep >= w.committed[lane])) return;
      auto* to = reinterpret_cast<char*>(copy.to[lane]);
      const auto* from = reinterpret_cast<const char*>(copy.from[lane]);
      if (copy.source_bytes[lane] == 16) {
        std::memcpy(to, from, 16);
      } else {
        std::memcpy(to, from, copy.source_bytes[lane]);
        std::memset(to + copy.source_bytes[lane], 0, copy.bytes - copy.source_bytes[lane]);
      }
      copy.mask &= ~(Mask{1} << i);
      if (w.block->checker != nullptr) {
        w.block->checker->async_land(w, w.block->program->code[copy.pc], i, copy.to[lane], copy.bytes);
      }
    });
  }
  std::erase_if(w.copies, [](const AsyncCopy& copy) { return copy.mask == 0; });
}

void add_async_ops(OpTable& table) {
  table["cp"] = decode_cp;
}

}  // namespace ft::sim
