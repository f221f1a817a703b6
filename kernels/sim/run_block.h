// The scheduler: runs the warps of one block until all threads have left the kernel.
//
// A warp runs its group of lanes with the lowest program counter until the group parks, leaves, or its slice
// is over. Without a seed slices are long and warps take turns in order, so that a spinning warp still lets
// others on; with a seed the warp, the slice and now and then the group are drawn at random. When no group of
// any warp is ready and threads are left, the block hangs, which is an error that says where everyone waits.
#pragma once

#include <array>

#include "kernels/sim/scheduler.h"
#include "kernels/sim/warp.h"

namespace ft::sim {

class BlockRunner {
 public:
  explicit BlockRunner(Block& block)
      : block_(block),
        code_(block.program->code.data()),
        random_(block.launch->settings.seed, block.linear_id) {}

  void run();

 private:
  template <bool counting>
  void run_warp(Warp& w, uint64_t slice, bool lowest_first);
  bool pick(Warp& w, bool lowest_first);
  void park(Warp& w, Group group) { w.groups.push_back(group); }
  void leave(Warp& w, Mask m);
  void branch(Warp& w, const Inst& in, Mask m);
  void branch_table(Warp& w, const Inst& in, Mask m);
  bool arrive_warp(Warp& w, const Inst& in, Mask& m);
  void arrive_barrier(Warp& w, const Inst& in, Mask m);
  void try_release(uint32_t barrier);
  void release(uint32_t barrier);
  [[noreturn]] void hang();

  Block& block_;
  const Inst* code_;
  Random random_;
  std::array<uint32_t, 16> arrived_only_{};  // by bar.arrive, which does not park
  uint32_t stop_ = 0;                        // program counter at which the running group meets another
};

}  // namespace ft::sim
