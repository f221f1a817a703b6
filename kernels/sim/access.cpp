// Every memory access of a kernel goes through resolve(): the lanes' addresses become host addresses after
// bounds and alignment are checked. An instruction remembers the allocation that it hit last, so the common
// case is one comparison a lane. Checkers and counters are called from here.
#include <driver_types.h>

#include "kernels/sim/checker.h"
#include "kernels/sim/counters.h"
#include "kernels/sim/lanes.h"

namespace ft::sim {
namespace {

const char* name_of(MemorySpace space) {
  switch (space) {
    case MemorySpace::shared:
      return "shared";
    case MemorySpace::local:
      return "local";
    case MemorySpace::param:
      return "parameter";
    default:
      return "global";
  }
}

const char* verb(AccessKind kind) {
  return kind == AccessKind::read ? "reads" : kind == AccessKind::write ? "writes" : "updates";
}

// True if all lanes lie in the range that this instruction hit last.
bool in_range(const Range& range, Mask m, uint32_t bytes, const Addresses& out) {
  if (range.size < bytes) return false;
  const uint64_t last = range.size - bytes;
  uint32_t outside[lane_count];
#pragma GCC ivdep
  for (int i = 0; i < lane_count; ++i) outside[i] = out.at[i] - range.begin > last ? 1u : 0u;
  if (m == full_mask) {
    uint32_t any = 0;
#pragma GCC ivdep
    for (int i = 0; i < lane_count; ++i) any |= outside[i];
    return any == 0;
  }
  bool any = false;
  for_lanes(m, [&](int lane) { any |= outside[lane] != 0; });
  return !any;
}

// Offsets in a window of `size` bytes; adds the window's base. Lane i's window begins at base + i * stride.
void resolve_window(Warp& w, const Inst& in, Mask m, uint32_t bytes, AccessKind kind, MemorySpace space,
                    uint64_t size, uint64_t base, uint64_t stride, Addresses& out) {
  if (in_range({0, size}, m, bytes, out)) [[likely]] {
    if (m == full_mask) {
      for (uint64_t i = 0; i < lane_count; ++i) out.at[i] += base + stride * i;
    } else {
      for_lanes(m, [&](int lane) { out.at[lane] += base + stride * static_cast<uint64_t>(lane); });
    }
    return;
  }
  for_lanes(m, [&](int lane) {
    const uint64_t at = out.at[lane];
    if (size < bytes || at > size - bytes) {
      fault(w, in, lane, cudaErrorIllegalAddress,
            fmt::format("{} {} bytes at offset {} of {} bytes of {} memory", verb(kind), bytes, at, size,
                        name_of(space)));
    }
    out.at[lane] = at + base + stride * static_cast<uint64_t>(lane);
  });
}

void resolve_global(Warp& w, const Inst& in, Mask m, uint32_t bytes, AccessKind kind, Addresses& out) {
  Range& range = w.block->ranges[pc_of(w, in)];
  if (in_range(range, m, bytes, out)) return;
  for_lanes(m, [&](int lane) {
    const uint64_t at = out.at[lane];
    if (at - range.begin < range.size && at + bytes <= range.begin + range.size) return;
    const Allocation* hit = w.block->launch->memory->find(at);
    if (hit == nullptr || at + bytes > hit->end()) {
      fault(w, in, lane, cudaErrorIllegalAddress,
            fmt::format("{} {} bytes at {:#x}: {}", verb(kind), bytes, at,
                        hit != nullptr ? fmt::format("across the end of a block of {} bytes", hit->size)
                                       : w.block->launch->memory->nearest(at)));
    }
    if (kind != AccessKind::read && hit->kind == MemoryKind::constant) {
      fault(w, in, lane, cudaErrorIllegalAddress, fmt::format("writes the constant {}", hit->name));
    }
    range = {hit->begin, hit->size};
  });
}

// Generic addresses: the block's shared memory and the thread's local memory are windows of the address
// space.
MemorySpace generic_space(Warp& w, const Inst& in, Mask m, uint32_t bytes, AccessKind kind, Addresses& out) {
  const Block& block = *w.block;
  const auto shared = reinterpret_cast<uint64_t>(block.shared),
             local = reinterpret_cast<uint64_t>(block.local);
  const uint64_t local_size = block.local_stride * (block.warps.size() * lane_count);
  Mask in_shared = 0, in_local = 0;
  for_lanes(m, [&](int lane) {
    in_shared |= static_cast<Mask>(out.at[lane] - shared < block.launch->shared_bytes) << lane;
    in_local |= static_cast<Mask>(out.at[lane] - local < local_size) << lane;
  });
  if ((in_shared | in_local) == 0) return MemorySpace::global;
  if (in_shared == m) return MemorySpace::shared;
  for_lanes(in_local, [&](int lane) {
    const uint64_t own = local + block.local_stride * thread_of(w, lane);
    const uint64_t size = block.program->local_bytes;
    if (size < bytes || out.at[lane] - own > size - bytes) {
      fault(w, in, lane, cudaErrorIllegalAddress,
            "a pointer into another thread's local memory, or beyond its own");
    }
  });
  if (in_local == m) return MemorySpace::local;
  // Spaces are mixed within one warp: each part is checked by itself.
  for (const Mask part : {in_shared, in_local, m & ~in_shared & ~in_local}) {
    if (part != 0) resolve_given(w, in, part, bytes, kind, MemorySpace::generic, out);
  }
  return MemorySpace::generic;
}

}  // namespace

uint32_t pc_of(const Warp& w, const Inst& in) {
  return static_cast<uint32_t>(&in - w.block->program->code.data());
}

std::string describe(const Warp& w, const Inst& in, int lane) {
  const Block& block = *w.block;
  const auto& t = block.launch->threads;
  const uint32_t thread = thread_of(w, lane);
  return fmt::format("kernel {}, {}, block ({},{},{}) thread ({},{},{})", block.program->readable_name,
                     block.program->place_of(pc_of(w, in)), block.id[0], block.id[1], block.id[2],
                     thread % t[0], thread / t[0] % t[1], thread / (t[0] * t[1]));
}

void fault(const Warp& w, const Inst& in, int lane, int code, const std::string& text) {
  const Program& program = *w.block->program;
  throw KernelFault(code, fmt::format("{}: {}", describe(w, in, lane), text), program.readable_name,
                    program.place_of(pc_of(w, in)));
}

void resolve_given(Warp& w, const Inst& in, Mask m, uint32_t bytes, AccessKind kind, MemorySpace space,
                   Addresses& out) {
  Block& block = *w.block;
  uint64_t unaligned = 0;
  if (m == full_mask) {
#pragma GCC ivdep
    for (int i = 0; i < lane_count; ++i) unaligned |= out.at[i];
  } else {
    for_lanes(m, [&](int lane) { unaligned |= out.at[lane]; });
  }
  if ((unaligned & (bytes - 1)) != 0) [[unlikely]] {
    for_lanes(m, [&](int lane) {
      if ((out.at[lane] & (bytes - 1)) == 0) return;
      fault(w, in, lane, cudaErrorMisalignedAddress,
            fmt::format("{} {} bytes at the misaligned address {:#x} of {} memory", verb(kind), bytes,
                        out.at[lane], name_of(space)));
    });
  }
  if (space == MemorySpace::generic) {
    space = generic_space(w, in, m, bytes, kind, out);
    if (space == MemorySpace::generic) return;  // was mixed and is done
    if (space == MemorySpace::shared) {
      const auto base = reinterpret_cast<uint64_t>(block.shared);
      for_lanes(m, [&](int lane) { out.at[lane] -= base; });
      resolve_window(w, in, m, bytes, kind, space, block.launch->shared_bytes, base, 0, out);
    }
  } else if (space == MemorySpace::shared) {
    resolve_window(w, in, m, bytes, kind, space, block.launch->shared_bytes,
                   reinterpret_cast<uint64_t>(block.shared), 0, out);
  } else if (space == MemorySpace::local) {
    resolve_window(w, in, m, bytes, kind, space, block.program->local_bytes,
                   reinterpret_cast<uint64_t>(block.local) + block.local_stride * thread_of(w, 0),
                   block.local_stride, out);
  } else if (space == MemorySpace::param) {
    resolve_window(w, in, m, bytes, kind, space, block.launch->parameters.size(),
                   reinterpret_cast<uint64_t>(block.launch->parameters.data()), 0, out);
  }
  if (space == MemorySpace::global) resolve_global(w, in, m, bytes, kind, out);
  if (block.tally != nullptr) count_access(w, in, m, bytes, space, out);
  if (block.checker != nullptr) block.checker->access(w, in, m, bytes, kind, space, out);
}

void resolve(Warp& w, const Inst& in, Mask m, uint32_t bytes, AccessKind kind, Addresses& out) {
  if (in.mode == 4) {
    const auto* a = w.reg<uint32_t>(in.a);
    const auto add = static_cast<uint32_t>(in.imm);
#pragma GCC ivdep
    for (int i = 0; i < lane_count; ++i) out.at[i] = static_cast<uint32_t>(a[i] + add);
  } else {
    const auto* a = w.reg<uint64_t>(in.a);
    const auto add = static_cast<uint64_t>(in.imm);
#pragma GCC ivdep
    for (int i = 0; i < lane_count; ++i) out.at[i] = a[i] + add;
  }
  resolve_given(w, in, m, bytes, kind, in.space, out);
}

}  // namespace ft::sim
