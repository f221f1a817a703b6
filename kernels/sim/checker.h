// The checkers' side of the interpreter: called on every access and barrier when they are on.
//
// Shared memory. Two accesses of one byte, one of them a write, race unless a barrier of the block lies
// between them, or both come from one warp and a __syncwarp lies between, or from one thread. Shuffles, votes
// and mma order nothing. Atomics do not race with atomics. A byte that a cp.async will write is pending from
// issue to wait. Named barriers count as barriers of the whole block, so races that only they leave open are
// missed.
//
// Global memory. Two blocks race likewise; nothing orders them but the pattern "write, fence, atomic" in one
// and an atomic in the other. Races within a block through global memory are not looked for.
#pragma once

#include <memory>

#include "kernels/sim/warp.h"

namespace ft::sim {

/// Adds a finding, or counts it on an equal one (same kind, kernel, place).
void report(std::string kind, std::string kernel, std::string place, std::string text);

void report_divergent_barrier(const Warp& first_warp, const Group& first, const Warp& warp,
                              const Group& group);

/// What blocks of one launch know of each other; blocks of a checked launch run one by one.
struct LaunchChecks {
  std::vector<uint8_t> published;  // per block: its writes were followed by a fence and an atomic
};

class BlockChecker {
 public:
  BlockChecker(Block& block, LaunchChecks& launch);
  ~BlockChecker();
  void access(Warp& w, const Inst& in, Mask m, uint32_t bytes, AccessKind kind, MemorySpace space,
              const Addresses& at);
  /// A cp.async was issued (its bytes are pending) or has landed.
  void async_issue(Warp& w, const Inst& in, int lane, uint64_t to, uint32_t bytes);
  void async_land(Warp& w, const Inst& in, int lane, uint64_t to, uint32_t bytes);
  void fence();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ft::sim
