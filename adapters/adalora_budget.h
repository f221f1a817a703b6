// Which singular values AdaLoRA keeps: how much the loss would miss each triplet (a row of A, a value of E, a
// column of B), and the cut to a budget over all modules at once, as PEFT's RankAllocator does it.
#pragma once

#include <array>
#include <vector>

#include "engine/autograd/parameter.h"
#include "engine/core/stream.h"

namespace ft {

/// A trained matrix and the averages of its importance, of the same shape; null where nothing is trained.
struct AdaLoraFactor {
  Parameter *value = nullptr, *average = nullptr, *uncertainty = nullptr;
};

/// Of one module. All matrices have a row a triplet.
struct AdaLoraTriplets {
  AdaLoraFactor a, e, b_t;    // [r, in], [r, 1], [r, out]
  Parameter* mask = nullptr;  // [r, 1] 0: taken away
  std::array<const AdaLoraFactor*, 3> factors() const { return {&a, &e, &b_t}; }
  int64_t rank() const { return mask->shape[0]; }
};

/// Brings the averages up to date with this step's gradients.
void measure_importance(Stream&, const AdaLoraTriplets&, double beta1, double beta2, double gradient_scale);
/// Keeps the `budget` triplets that matter most; the others' E becomes zero, and so their mask.
void cut_to_budget(Stream&, const std::vector<const AdaLoraTriplets*>& modules, int64_t budget);
/// E ⊙ mask: what an update brought back is taken away again.
void apply_mask(Stream&, const AdaLoraTriplets&);

// Of row-major matrices [rows, cols] of a trained type (engine/ops/row_scale.h).

/// y (+)= factors [rows] ⊙ x
void scale_rows(Stream&, const Tensor& x, const Tensor& factors, const Tensor& y, bool accumulate = false);
/// out [rows] (+)= factor · Σ over columns of a · b
void dot_rows(Stream&, const Tensor& a, const Tensor& b, double factor, const Tensor& out, bool accumulate);

}  // namespace ft
