// Where threads wait for each other: warp-wide operations and the 16 barriers of a block.
#include <driver_types.h>

#include <algorithm>

#include "kernels/sim/checker.h"
#include "kernels/sim/run_block.h"

namespace ft::sim {

// True when all members of the warp-wide operation are here; m grows by those who waited.
bool BlockRunner::arrive_warp(Warp& w, const Inst& in, Mask& m) {
  const int first = __builtin_ctz(m);
  const Mask members = w.reg<Mask>(in.e)[first] & w.lanes & ~w.exited;
  if ((m & ~members) != 0) {
    fault(w, in, __builtin_ctz(m & ~members), cudaErrorIllegalInstruction,
          fmt::format("a thread outside of the member mask {:#x} of its own warp operation", members));
  }
  if ((members & ~m) == 0) return true;
  for (size_t i = w.groups.size(); i-- > 0;) {
    if (w.groups[i].state != GroupState::warp_wait || w.groups[i].pc != w.pc) continue;
    m |= w.groups[i].mask;
    w.groups.erase(w.groups.begin() + static_cast<std::ptrdiff_t>(i));
  }
  const Mask rest = w.active & ~m;  // lanes whose guard is false go on
  if ((members & ~m) == 0) {
    if (rest != 0) {
      park(w, {w.pc + 1, rest});
      stop_ = std::min(stop_, w.pc + 1);
    }
    w.active = m;
    return true;
  }
  park(w, {w.pc, m, GroupState::warp_wait});
  w.active = rest;
  ++w.pc;
  return false;
}

void BlockRunner::arrive_barrier(Warp& w, const Inst& in, Mask m) {
  const int first = __builtin_ctz(m);
  const uint32_t barrier = w.reg<uint32_t>(in.a)[first];
  const uint32_t expected = w.reg<uint32_t>(in.b)[first];
  if (barrier >= 16)
    fault(w, in, first, cudaErrorIllegalInstruction, fmt::format("barrier {} of 16", barrier));
  w.active &= ~m;
  const uint32_t here = w.pc++;
  if (in.mode == barrier_arrive) {
    arrived_only_[barrier] += static_cast<uint32_t>(__builtin_popcount(m));
    w.active |= m;
    try_release(barrier);
    return;
  }
  park(w, {here + 1, m, GroupState::barrier, static_cast<uint8_t>(barrier), here, expected});
  try_release(barrier);
}

void BlockRunner::try_release(uint32_t barrier) {
  uint32_t parked = 0, expected = 0;
  for (const Warp& w : block_.warps) {
    for (const Group& g : w.groups) {
      if (g.state != GroupState::barrier || g.barrier != barrier) continue;
      parked += static_cast<uint32_t>(__builtin_popcount(g.mask));
      expected = std::max(expected, g.expected);
    }
  }
  if (parked == 0) return;
  if (parked + arrived_only_[barrier] >= (expected == 0 ? block_.live_threads : expected)) release(barrier);
}

void BlockRunner::release(uint32_t barrier) {
  uint32_t yes = 0, threads = 0;
  const Inst* reduction = nullptr;
  Warp* first_warp = nullptr;
  const Group* first_group = nullptr;
  for (Warp& w : block_.warps) {
    for (Group& g : w.groups) {
      if (g.state != GroupState::barrier || g.barrier != barrier) continue;
      const Inst& in = code_[g.parked_at];
      if (first_group == nullptr) {
        first_warp = &w;
        first_group = &g;
      } else if (g.parked_at != first_group->parked_at && block_.launch->settings.check_barriers) {
        report_divergent_barrier(*first_warp, *first_group, w, g);
      }
      threads += static_cast<uint32_t>(__builtin_popcount(g.mask));
      if (in.mode >= barrier_popc) {
        reduction = &in;
        const Mask p = w.pred(in.c) ^ (in.flags != 0 ? full_mask : 0);
        yes += static_cast<uint32_t>(__builtin_popcount(g.mask & p));
      }
    }
  }
  for (Warp& w : block_.warps) {
    for (Group& g : w.groups) {
      if (g.state != GroupState::barrier || g.barrier != barrier) continue;
      const Inst& in = code_[g.parked_at];
      if (reduction != nullptr && in.mode == barrier_popc) {
        for (int lane = 0; lane < lane_count; ++lane) {
          if (g.mask >> lane & 1) w.reg<uint32_t>(in.d)[lane] = yes;
        }
      } else if (reduction != nullptr && in.mode > barrier_popc) {
        const bool value = in.mode == barrier_and ? yes == threads : yes > 0;
        w.pred(in.d) = (w.pred(in.d) & ~g.mask) | (value ? g.mask : 0);
      }
      g.state = GroupState::ready;
    }
  }
  arrived_only_[barrier] = 0;
  ++block_.barrier_epoch;
}

}  // namespace ft::sim
