// Wrong backwards on purpose, so that tests see the gradient certificate find them.
//
// FT_FAULT_BACKWARD=HOW:N[:TYPE] damages, in every sweep, the gradient that the N-th op to run (0 is the
// first after the loss) is given. HOW: scale (by 1.01) or row (the last row that is not zero becomes zero).
// TYPE: only where gradients are of that type (float32, float64). Said on stderr when it first happens.
// Unset, it costs a comparison an op.
#pragma once

#include "engine/autograd/tape.h"

namespace ft {

/// Is a fault asked for?
bool backward_faults();
/// Called for each op of a sweep in the order in which they run; `n` counts them.
void damage_gradient(const Gradient& output, int64_t n);

}  // namespace ft
