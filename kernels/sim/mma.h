// The arithmetic of one tensor-core product, apart from how fragments lie in registers.
#pragma once

#include "kernels/sim/sim.h"

namespace ft::sim {

/// D[16,8] = A[16,k] B[8,k]^T + C[16,8], row-major, k <= 16. Inputs hold bf16, f16 or tf32 values, whose
/// products are exact in double. See Rounding for how the sum is rounded; half of it is how float32 results
/// differ from hardware.
void mma_tile(Rounding rounding, int k, const float* a, const float* b, const float* c, float* d);

}  // namespace ft::sim
