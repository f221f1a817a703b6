// Kernels with a seeded bug each, and the same kernels without it (Bug::none). See mutants_test.cpp.
#pragma once

#include <cstdint>

namespace ft::sim::test {

enum class Bug : int {
  none,
  // of product():
  lost_barrier,         // no __syncthreads before the tiles are read
  lost_barrier_behind,  // none before the tiles are overwritten
  swapped_operands,     // two registers of the A fragment change places
  lost_trans,           // ldmatrix of B without .trans
  short_copy,           // cp.async of 8 bytes where 16 are read
  lost_wait,            // no cp.async.wait_group before the barrier
  early_wait,           // waits for all groups but one
  lost_commit,          // wait_group without a commit
  unpadded_tile,        // rows of 64 bytes: bank conflicts in ldmatrix
  // of row_sums():
  tail_beyond,         // i <= n: one element too many
  tail_short,          // i < n - 1: one too few
  lost_syncwarp,       // lanes read what others wrote, ordered by nothing
  divergent_barrier,   // the two halves of a branch wait at barriers of their own
  hanging_barrier,     // one warp skips a barrier whose count includes it
  unwritten_shared,    // reads a partial sum that no warp wrote
  shared_output,       // two blocks write one element
  misaligned_vector,   // 16-byte loads from a 4-byte boundary
  wrong_shuffle_mask,  // lanes outside of their own member mask
};

/// c[64, 32] = a[64, k] b[k, 32], bf16 in, float32 out; k a multiple of 32.
void product(Bug bug, const uint16_t* a, const uint16_t* b, float* c, int k);
/// out[rows] = sums of x[rows, n].
void row_sums(Bug bug, const float* x, float* out, int rows, int n);

}  // namespace ft::sim::test
