// AdaLoRA's regulariser: the mean over matrices P [r, cols] of ‖P Pᵀ − 1‖ (Frobenius), times a weight. Its
// gradient is 2 (P Pᵀ − 1) P / ‖P Pᵀ − 1‖.
#pragma once

#include <vector>

#include "engine/autograd/parameter.h"
#include "engine/core/stream.h"

namespace ft {

/// Adds the gradient to the matrices' gradients and returns the term. The small matrices P Pᵀ pass through
/// the host, once for all.
double orthogonal_loss(Stream& stream, const std::vector<Parameter*>& matrices, double weight,
                       double loss_scale = 1);

}  // namespace ft
