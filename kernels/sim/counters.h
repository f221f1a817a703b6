// Deterministic performance counters: what a kernel executes and how its memory accesses fall on banks and
// sectors.
#pragma once

#include "kernels/sim/warp.h"

namespace ft::sim {

/// Counts one access of a warp: shared-memory wavefronts, 32-byte sectors, and their ideals.
void count_access(Warp& w, const Inst& in, Mask m, uint32_t bytes, MemorySpace space, const Addresses& at);

/// Adds a launch's tallies (one per worker) to the totals of its kernel.
void record_launch(const Launch& launch, const std::vector<Tally>& tallies);

}  // namespace ft::sim
