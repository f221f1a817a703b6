// What runs: a warp's registers and groups of lanes, the block around it, the launch around that.
//
// A group is a set of lanes at one program counter. The warp runs the group with the lowest counter; groups
// that meet are merged, so code after a divergent branch reconverges as soon as it can. Lanes parked at a
// barrier or at a warp-wide operation are groups too, in another state.
#pragma once

#include <cstring>
#include <memory>
#include <vector>

#include "engine/core/check.h"
#include "kernels/sim/memory_table.h"
#include "kernels/sim/program.h"
#include "kernels/sim/sim.h"

namespace ft::sim {

struct Block;
struct Launch;
class BlockChecker;

enum class GroupState : uint8_t { ready, warp_wait, barrier };

struct Group {
  uint32_t pc = 0;
  Mask mask = 0;
  GroupState state = GroupState::ready;
  uint8_t barrier = 0;     // which of the 16
  uint32_t parked_at = 0;  // instruction of the barrier; pc is the one after it
  uint32_t expected = 0;   // threads that the barrier waits for, 0: all of the block
};

/// A cp.async of one warp instruction whose bytes have not landed.
struct AsyncCopy {
  Mask mask = 0;  // lanes still pending
  uint32_t pc = 0;
  uint8_t bytes = 0;
  std::array<uint32_t, lane_count> group{};  // per lane: number of its commit group
  std::array<uint8_t, lane_count> source_bytes{};
  std::array<uint64_t, lane_count> to{}, from{};
};

struct Warp {
  char* base[2] = {nullptr, nullptr};  // registers, constant pool
  Block* block = nullptr;
  uint32_t index = 0;
  Mask lanes = 0;  // lanes that exist (the last warp of a block may be partial)
  Mask exited = 0;
  Mask active = 0;  // of the running group, for handlers that need it
  uint32_t pc = 0;  // of the running group
  uint64_t executed = 0;
  bool spinning = false;  // its last slice ended among several groups
  uint32_t epoch = 0;     // counts warp-wide synchronisations, for the race checker
  std::vector<Group> groups;
  std::vector<AsyncCopy> copies;
  std::array<uint32_t, lane_count> committed{};  // per lane: cp.async groups committed so far

  template <class T>
  T* reg(Slot slot) {
    return reinterpret_cast<T*>(base[slot & 1] + (slot & ~Slot{1}));
  }
  Mask& pred(Slot slot) { return *reg<Mask>(slot); }
};

struct Range {
  uint64_t begin = 1, size = 0;  // an allocation that an instruction hit last
};

/// Counts of one worker, summed after the launch; index is the program counter.
struct Tally {
  std::vector<uint64_t> warps, lanes;                  // executions, active lanes
  std::vector<uint64_t> wavefronts, ideal_wavefronts;  // shared memory
  std::vector<uint64_t> sectors, ideal_sectors;        // global memory, 32 bytes each
  std::vector<uint64_t> global_bytes, shared_bytes;    // that the lanes asked for
  void resize(size_t n) {
    for (auto* v : {&warps, &lanes, &wavefronts, &ideal_wavefronts, &sectors, &ideal_sectors, &global_bytes,
                    &shared_bytes}) {
      v->assign(n, 0);
    }
  }
};

/// One kernel launch. Blocks share it; it does not change while they run.
struct Launch {
  const Program* program = nullptr;
  std::array<uint32_t, 3> grid{}, threads{};
  uint32_t block_threads = 0;
  uint64_t dynamic_shared = 0, shared_bytes = 0;
  std::vector<char> parameters;
  std::shared_ptr<const MemoryTable::Snapshot> memory;
  Settings settings;
  uint64_t number = 0;
};

struct Block {
  const Launch* launch = nullptr;
  const Program* program = nullptr;
  std::array<uint32_t, 3> id{};
  uint64_t linear_id = 0;
  char* shared = nullptr;  // launch->shared_bytes
  char* local = nullptr;   // program->local_bytes a thread, thread after thread
  uint64_t local_stride = 0;
  std::vector<Warp> warps;
  std::vector<Range> ranges;        // per instruction
  Tally* tally = nullptr;           // null: not counted
  BlockChecker* checker = nullptr;  // null: races and initialisation are not checked
  uint32_t live_threads = 0;
  uint32_t barrier_epoch = 0;
};

/// What an access does, for bounds, checkers and counters.
enum class AccessKind : uint8_t { read, write, atomic };

/// A fault of the kernel: becomes a CUDA error with this text. `code` is a cudaError_t.
class KernelFault : public Error {
 public:
  KernelFault(int code, const std::string& text, std::string kernel = {}, std::string place = {})
      : Error(text), code(code), kernel(std::move(kernel)), place(std::move(place)) {}
  int code;
  std::string kernel, place;  // for the finding
};

/// "kernel K, file:line, block (x,y,z) thread (x,y,z)".
std::string describe(const Warp& w, const Inst& in, int lane);
[[noreturn]] void fault(const Warp& w, const Inst& in, int lane, int code, const std::string& text);
uint32_t pc_of(const Warp& w, const Inst& in);
/// Linear thread number within the block.
inline uint32_t thread_of(const Warp& w, int lane) {
  return w.index * lane_count + static_cast<uint32_t>(lane);
}

/// Host addresses of the lanes in `m` for the access that `in` makes at register inst.a + imm, checked
/// against every rule that is on: bounds, alignment, races, initialisation; counted.
struct Addresses {
  alignas(64) uint64_t at[lane_count];
};
void resolve(Warp& w, const Inst& in, Mask m, uint32_t bytes, AccessKind kind, Addresses& out);
/// The same for addresses that are given in `out` already, in space `space` (offsets for shared and local).
void resolve_given(Warp& w, const Inst& in, Mask m, uint32_t bytes, AccessKind kind, MemorySpace space,
                   Addresses& out);

/// Lands the copies of the lanes in `m` but for their latest `keep` commit groups; uncommitted ones stay.
void land_async(Warp& w, Mask m, uint32_t keep, bool all);

/// Runs all warps of the block to their end.
void run_block(Block& block);

}  // namespace ft::sim
