#include "kernels/sim/run_block.h"

#include <driver_types.h>

#include <algorithm>

namespace ft::sim {

// Takes the next group of the warp out of the list and makes it the running one.
bool BlockRunner::pick(Warp& w, bool lowest_first) {
  size_t best = w.groups.size();
  size_t ready = 0;
  for (size_t i = 0; i < w.groups.size(); ++i) {
    if (w.groups[i].state != GroupState::ready) continue;
    ++ready;
    const bool better = best == w.groups.size() ||
                        (lowest_first ? w.groups[i].pc < w.groups[best].pc : random_.below(ready) == 0);
    if (better) best = i;
  }
  w.active = 0;
  if (best == w.groups.size()) return false;
  w.pc = w.groups[best].pc;
  stop_ = UINT32_MAX;
  for (size_t i = w.groups.size(); i-- > 0;) {
    const Group& g = w.groups[i];
    if (g.state != GroupState::ready) continue;
    if (g.pc == w.pc) {
      w.active |= g.mask;
      w.groups.erase(w.groups.begin() + static_cast<std::ptrdiff_t>(i));
    } else if (lowest_first) {
      stop_ = std::min(stop_, g.pc);
    } else {
      stop_ = 0;  // look for a meeting after every instruction
    }
  }
  return true;
}

template <bool counting>
void BlockRunner::run_warp(Warp& w, uint64_t slice, bool lowest_first) {
  if (!pick(w, lowest_first)) return;
  const uint64_t last = w.executed + slice;
  Tally* tally = block_.tally;
  while (true) {
    if (w.pc >= stop_) [[unlikely]] {
      if (lowest_first) {
        park(w, {w.pc, w.active});
        pick(w, true);
      } else {
        for (size_t i = w.groups.size(); i-- > 0;) {
          if (w.groups[i].state != GroupState::ready || w.groups[i].pc != w.pc) continue;
          w.active |= w.groups[i].mask;
          w.groups.erase(w.groups.begin() + static_cast<std::ptrdiff_t>(i));
        }
      }
    }
    if (w.executed >= last) [[unlikely]] {
      park(w, {w.pc, w.active});
      w.active = 0;
      return;
    }
    const Inst& in = code_[w.pc];
    ++w.executed;
    Mask m = w.active;
    if (in.guarded) m &= in.guard_negated ? ~w.pred(in.guard) : w.pred(in.guard);
    if constexpr (counting) {
      ++tally->warps[w.pc];
      tally->lanes[w.pc] += static_cast<uint64_t>(__builtin_popcount(m));
    }
    if (in.flow == Flow::plain) [[likely]] {
      if (m != 0) in.run(w, in, m);
      ++w.pc;
      continue;
    }
    if (m == 0) {
      ++w.pc;
      continue;
    }
    switch (in.flow) {
      case Flow::branch:
        if (m == w.active) {
          w.pc = static_cast<uint32_t>(in.imm);
          continue;
        }
        branch(w, in, m);
        break;
      case Flow::branch_table:
        branch_table(w, in, m);
        break;
      case Flow::exit:
        leave(w, m);
        ++w.pc;
        break;
      case Flow::warp_sync:
        if (arrive_warp(w, in, m)) {
          in.run(w, in, m);
          ++w.pc;
          continue;
        }
        break;
      case Flow::barrier:
        arrive_barrier(w, in, m);
        break;
      case Flow::plain:
        break;
    }
    if (w.active != 0 && !lowest_first) continue;
    if (w.active != 0) park(w, {w.pc, w.active});
    if (!pick(w, lowest_first)) return;
  }
}

void BlockRunner::branch(Warp& w, const Inst& in, Mask m) {
  park(w, {static_cast<uint32_t>(in.imm), m});
  w.active &= ~m;
  ++w.pc;
  stop_ = 0;
}

void BlockRunner::branch_table(Warp& w, const Inst& in, Mask m) {
  const auto& table = block_.program->tables[static_cast<size_t>(in.imm)];
  const auto* index = w.reg<uint32_t>(in.a);
  for (int lane = 0; lane < lane_count; ++lane) {
    if (!(m >> lane & 1)) continue;
    if (index[lane] >= table.size()) {
      fault(w, in, lane, cudaErrorIllegalAddress,
            fmt::format("a branch to entry {} of {}", index[lane], table.size()));
    }
    park(w, {table[index[lane]], Mask{1} << lane});
  }
  w.active &= ~m;
  ++w.pc;
  stop_ = 0;
}

void BlockRunner::leave(Warp& w, Mask m) {
  if (!w.copies.empty()) land_async(w, m, 0, true);
  w.exited |= m;
  w.active &= ~m;
  block_.live_threads -= static_cast<uint32_t>(__builtin_popcount(m));
  for (Group& g : w.groups) {
    if (g.state == GroupState::warp_wait) g.state = GroupState::ready;  // they may wait for nobody now
  }
  for (uint32_t barrier = 0; barrier < 16; ++barrier) try_release(barrier);
}

void BlockRunner::hang() {
  std::string text;
  for (const Warp& w : block_.warps) {
    for (const Group& g : w.groups) {
      const uint32_t at = g.state == GroupState::barrier ? g.parked_at : g.pc;
      text += fmt::format("; warp {} lanes {:#x} wait at {} {}", w.index, g.mask,
                          g.state == GroupState::barrier ? "the barrier of" : "the warp operation of",
                          block_.program->place_of(at));
    }
  }
  throw KernelFault(
      cudaErrorLaunchTimeout,
      fmt::format("kernel {}, block ({},{},{}) hangs: no thread can go on{}", block_.program->readable_name,
                  block_.id[0], block_.id[1], block_.id[2], text),
      block_.program->readable_name, block_.program->place_of(block_.warps[0].pc));
}

void BlockRunner::run() {
  const Settings& settings = block_.launch->settings;
  const bool drawn = settings.seed != 0;
  constexpr uint64_t long_slice = 1u << 16, short_slice = 256;
  const size_t count = block_.warps.size();
  while (block_.live_threads > 0) {
    bool progress = false;
    const size_t start = drawn ? random_.below(count) : 0;
    for (size_t i = 0; i < count && block_.live_threads > 0; ++i) {
      Warp& w = block_.warps[(start + i) % count];
      const uint64_t before = w.executed;
      uint64_t slice = w.spinning ? short_slice : long_slice;
      bool lowest_first = !w.spinning;
      if (drawn) {
        slice = 1 + random_.below(random_.below(8) == 0 ? 1000 : 40);
        // Counts are those of lanes that reconverge as soon as they can.
        if (!settings.count) lowest_first = random_.below(4) != 0;
      }
      if (block_.tally != nullptr) {
        run_warp<true>(w, slice, lowest_first);
      } else {
        run_warp<false>(w, slice, lowest_first);
      }
      const uint64_t ran = w.executed - before;
      progress |= ran != 0;
      // A whole slice among several groups may be one that waits for another: that one gets a short turn.
      w.spinning = !drawn && ran >= long_slice && w.groups.size() > 1;
      if (w.executed > settings.most_instructions) {
        const std::string text = fmt::format(
            "kernel {}, block ({},{},{}) ran {} instructions of warp {} and did not end",
            block_.program->readable_name, block_.id[0], block_.id[1], block_.id[2], w.executed, w.index);
        throw KernelFault(cudaErrorLaunchTimeout, text, block_.program->readable_name,
                          block_.program->place_of(w.pc));
      }
      if (drawn && progress) break;  // draw again
    }
    if (!progress) hang();
  }
}

void run_block(Block& block) {
  BlockRunner(block).run();
}

}  // namespace ft::sim
