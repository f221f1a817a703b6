#include "kernels/sim/checker.h"

#include <algorithm>

#include "kernels/sim/lanes.h"
#include "kernels/sim/memory_shadow.h"

namespace ft::sim {
namespace {

/// One side of a possible race.
struct Party {
  uint32_t thread = 0;  // + 1; 0: nobody
  uint32_t pc = 0;
  uint32_t barrier = 0;     // epoch of the block
  uint32_t warp = 0;        // epoch of the thread's warp
  bool collective = false;  // read by ldmatrix: by all lanes of the warp at once
  bool atomic = false;
};

/// Readers: the last one of some warp, and the last one of any other warp.
struct Cell {
  Party writer, reader, other;
  bool several = false;  // lanes of `reader`'s warp read since its last __syncwarp
  bool written = false, pending = false;
};

enum Kind : uint8_t { race = 1, uninitialised = 2, async = 4, global_race = 8 };

}  // namespace

struct BlockChecker::State {
  Block& block;
  LaunchChecks& launch;
  const Settings& settings;
  std::vector<Cell> shared;
  std::vector<uint8_t> reported;  // per instruction, Kind bits: one finding a block is enough
  bool fenced = false, acquired = false;

  State(Block& b, LaunchChecks& l)
      : block(b),
        launch(l),
        settings(b.launch->settings),
        shared(b.launch->shared_bytes),
        reported(b.program->code.size()) {}

  Party party(const Warp& w, uint32_t pc, int lane, AccessKind kind) const {
    return {thread_of(w, lane) + 1, pc, block.barrier_epoch, w.epoch, false, kind == AccessKind::atomic};
  }

  // True if nothing orders `old` before `now`.
  static bool unordered(const Party& old, const Party& now) {
    if (old.thread == 0 || old.barrier != now.barrier) return false;
    if ((old.thread - 1) / lane_count != (now.thread - 1) / lane_count) return true;
    if (old.warp != now.warp) return false;
    return old.thread != now.thread || old.collective || now.collective;
  }

  bool first_time(uint32_t pc, Kind kind) {
    if (reported[pc] & kind) return false;
    reported[pc] |= kind;
    return true;
  }

  std::string thread_name(uint32_t thread) const {
    const auto& t = block.launch->threads;
    return fmt::format("({},{},{})", thread % t[0], thread / t[0] % t[1], thread / (t[0] * t[1]));
  }

  void found(Kind kind, const char* name, uint32_t pc, const std::string& text) {
    if (!first_time(pc, kind)) return;
    report(name, block.program->readable_name, block.program->place_of(pc),
           fmt::format("block ({},{},{}): {}", block.id[0], block.id[1], block.id[2], text));
  }

  void found_race(const Party& old, const char* did, const Party& now, const char* does, uint64_t offset) {
    found(race, "race", now.pc,
          fmt::format(
              "thread {} {} byte {} of shared memory that thread {} {} at {}, and no barrier lies between",
              thread_name(now.thread - 1), does, offset, thread_name(old.thread - 1), did,
              block.program->place_of(old.pc)));
  }

  void check_write(Cell& cell, const Party& now, uint64_t offset) {
    const bool both_atomic = cell.writer.atomic && now.atomic;
    // Lanes that write one byte in one instruction: one of them wins, which kernels use for equal values.
    const bool same_instruction =
        cell.writer.pc == now.pc && (cell.writer.thread - 1) / lane_count == (now.thread - 1) / lane_count;
    if (!both_atomic && !same_instruction && unordered(cell.writer, now))
      found_race(cell.writer, "wrote", now, "writes", offset);
    const bool many = cell.several && cell.reader.thread == now.thread &&
                      cell.reader.barrier == now.barrier && cell.reader.warp == now.warp;
    if (many || unordered(cell.reader, now)) found_race(cell.reader, "read", now, "writes", offset);
    if (unordered(cell.other, now)) found_race(cell.other, "read", now, "writes", offset);
  }

  static void note_reader(Cell& cell, const Party& now) {
    const bool same_warp =
        cell.reader.thread != 0 && (cell.reader.thread - 1) / lane_count == (now.thread - 1) / lane_count;
    if (cell.reader.thread == 0 || cell.reader.barrier != now.barrier || same_warp) {
      const bool same_time = same_warp && cell.reader.barrier == now.barrier && cell.reader.warp == now.warp;
      cell.several = same_time && (cell.several || cell.reader.thread != now.thread);
      cell.reader = now;
    } else {
      cell.other = now;
    }
  }

  void shared_access(const Inst& in, const Party& now, uint64_t offset, uint32_t bytes, AccessKind kind) {
    const bool async_write = in.inst_class == InstClass::async_copy;
    for (uint64_t i = offset; i < offset + bytes; ++i) {
      Cell& cell = shared[i];
      if (cell.pending) {
        found(async, "async", now.pc,
              fmt::format("thread {} {} byte {} of shared memory, which the cp.async of {} may still write",
                          thread_name(now.thread - 1), kind == AccessKind::read ? "reads" : "writes", i,
                          block.program->place_of(cell.writer.pc)));
      }
      if (kind != AccessKind::write && !cell.written && !cell.pending && settings.check_initialised) {
        found(uninitialised, "uninitialised", now.pc,
              fmt::format("thread {} reads byte {} of shared memory, which nobody wrote",
                          thread_name(now.thread - 1), i));
      }
      if (settings.check_races) {
        if (kind == AccessKind::read) {
          if (unordered(cell.writer, now)) found_race(cell.writer, "wrote", now, "reads", i);
        } else {
          check_write(cell, now, i);
        }
      }
      if (kind == AccessKind::read) {
        note_reader(cell, now);
      } else {
        cell.writer = now;
        if (!async_write) cell.written = true;
      }
    }
  }

  void found_global_race(const Party& now, const char* does, uint32_t other, const char* did,
                         const Allocation& a, uint64_t offset) {
    found(global_race, "race", now.pc,
          fmt::format(
              "thread {} {} byte {} of allocation {} ({} bytes), which {} {} in this launch",
              thread_name(now.thread - 1), does, offset, a.number, a.size,
              other == several_blocks ? std::string("several blocks") : fmt::format("block {}", other - 1),
              did));
  }

  // Writes of a finished block are seen where it fenced and then updated an atomic, and this block did too.
  bool published(uint32_t writer) const {
    return acquired && writer != several_blocks && launch.published[writer - 1] != 0;
  }

  void global_access(const Party& now, const Allocation& a, uint64_t offset, uint32_t bytes,
                     AccessKind kind) {
    const auto me = static_cast<uint32_t>(block.linear_id) + 1;
    const bool atomic = kind == AccessKind::atomic;
    for (uint64_t i = offset; i < offset + bytes; ++i) {
      ShadowPage& page = a.shadow->page(i);
      const uint64_t k = i % ShadowPage::bytes;
      if (page.launch != block.launch->number) {
        page.launch = block.launch->number;
        page.writer.fill(0);
        page.reader.fill(0);
        page.atomic.fill(0);
      }
      if (kind != AccessKind::write && !page.written[k] && settings.check_initialised) {
        found(uninitialised, "uninitialised", now.pc,
              fmt::format("thread {} reads byte {} of allocation {} ({} bytes), which nobody wrote",
                          thread_name(now.thread - 1), i, a.number, a.size));
      }
      uint32_t& writer = page.writer[k];
      uint32_t& reader = page.reader[k];
      if (settings.check_races) {
        if (writer != 0 && writer != me && !(atomic && page.atomic[k]) && !published(writer)) {
          found_global_race(now, kind == AccessKind::read ? "reads" : "writes", writer, "wrote", a, i);
        }
        if (kind != AccessKind::read && reader != 0 && reader != me && !published(reader)) {
          found_global_race(now, "writes", reader, "read", a, i);
        }
      }
      if (kind == AccessKind::read) {
        reader = reader == 0 || reader == me ? me : several_blocks;
      } else {
        page.atomic[k] = atomic && (writer == 0 || page.atomic[k]);
        writer = writer == 0 || writer == me || published(writer) ? me : several_blocks;
        page.written[k] = 1;
      }
    }
    if (atomic) {
      acquired = true;
      if (fenced) launch.published[block.linear_id] = 1;
    }
  }
};

BlockChecker::BlockChecker(Block& block, LaunchChecks& launch)
    : state_(std::make_unique<State>(block, launch)) {}
BlockChecker::~BlockChecker() = default;

void BlockChecker::access(Warp& w, const Inst& in, Mask m, uint32_t bytes, AccessKind kind, MemorySpace space,
                          const Addresses& at) {
  State& s = *state_;
  const uint32_t pc = pc_of(w, in);
  const bool collective = in.inst_class == InstClass::load_matrix;
  if (space == MemorySpace::shared) {
    const auto base = reinterpret_cast<uint64_t>(s.block.shared);
    for_lanes(m, [&](int lane) {
      Party now = s.party(w, pc, lane, kind);
      now.collective = collective;
      s.shared_access(in, now, at.at[lane] - base, bytes, kind);
    });
  } else if (space == MemorySpace::global) {
    const Allocation* a = nullptr;
    for_lanes(m, [&](int lane) {
      const uint64_t address = at.at[lane];
      if (a == nullptr || address - a->begin >= a->size) a = s.block.launch->memory->find(address);
      if (a == nullptr || !a->shadow) return;
      s.global_access(s.party(w, pc, lane, kind), *a, address - a->begin, bytes, kind);
    });
  }
}

void BlockChecker::async_issue(Warp&, const Inst&, int, uint64_t to, uint32_t bytes) {
  const uint64_t offset = to - reinterpret_cast<uint64_t>(state_->block.shared);
  for (uint64_t i = offset; i < offset + bytes; ++i) state_->shared[i].pending = true;
}

void BlockChecker::async_land(Warp& w, const Inst& in, int lane, uint64_t to, uint32_t bytes) {
  const uint64_t offset = to - reinterpret_cast<uint64_t>(state_->block.shared);
  const Party now = state_->party(w, pc_of(w, in), lane, AccessKind::write);
  for (uint64_t i = offset; i < offset + bytes; ++i) {
    Cell& cell = state_->shared[i];
    cell.pending = false;
    cell.written = true;
    cell.writer = now;
  }
}

void BlockChecker::fence() {
  state_->fenced = true;
}

}  // namespace ft::sim
