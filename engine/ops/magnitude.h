// What DoRA (Liu et al. 2024, "DoRA: Weight-Decomposed Low-Rank Adaptation") scales the outputs of a layer
// by: with V = W + s·BA and its rows' norms n_j = ‖V_j‖, the factor m_j / n_j. The norms are formed without
// V:
//   n_j² = ‖W_j‖² + s · Σ_i B_ji · (2 (A Wᵀ)_ij + s (A Aᵀ Bᵀ)_ij),
// whose sum over i is `cross`; ‖W_j‖² never changes. Elementwise over the outputs.
#pragma once

#include <cstdint>

#include "engine/core/backend_streams.h"

namespace ft {

template <class T>
struct MagnitudeArgs {
  int64_t count = 0;
  const T* magnitude = nullptr;  // [count] m
  const T* squares = nullptr;    // [count] ‖W_j‖²
  const T* cross = nullptr;      // [count]
  T scale = 1;                   // s
  T shift = 0;
  T* factor = nullptr;   // [count] m / n − shift
  T* inverse = nullptr;  // [count] 1 / n, the derivative of the factor by m; 0 for a row of zeros
};

void magnitude(CpuStream&, const MagnitudeArgs<float>&);
void magnitude(CpuStream&, const MagnitudeArgs<double>&);
void magnitude(CudaStream&, const MagnitudeArgs<float>&);

}  // namespace ft
