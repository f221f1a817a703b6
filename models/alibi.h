// ALiBi (Press et al. 2021, "Train Short, Test Long"): instead of positions, each head adds slope · distance
// to its scores.
#pragma once

#include <cstdint>

#include "engine/core/tensor.h"

namespace ft {

/// The slopes of BLOOM's heads, [heads], as `type` (float32 or float64): 2^(−8/n), 2^(−16/n), … for the
/// largest power of two n ≤ heads, and every second one of the row for 2n for the heads beyond it. Formed in
/// float32, as models were trained with them.
Tensor alibi_slopes(int64_t heads, DType type, Device device);

}  // namespace ft
