// DoRA (Liu et al. 2024, "DoRA: Weight-Decomposed Low-Rank Adaptation") on top of a low-rank pair: with
// V = W + s·BA, h_j = m_j / ‖V_j‖ · V_j x + b_j, where the magnitudes m [out] are trained and the norms are
// constants for the gradient (section 4.3). m starts at ‖V_j‖, so training starts where the pair does.
//
// The norms are formed once a step (engine/ops/magnitude.h). With dropout PEFT drops from W's input too, for
// everything that differs from W x; that needs a second product with W, and so does a bias that is trained.
#pragma once

#include <deque>
#include <unordered_map>

#include "engine/nn/adapter.h"

namespace ft {

class Dora {
 public:
  /// `term`: the pair with its scale, initialised. Returns the magnitudes.
  Parameter& add(const Linear& linear, const LowRankTerm& term, const AttachOptions& options);
  /// The factors of this step.
  void prepare(Forward& f, double dropout);
  /// From the layer's output y = W x + s B A dropout(x) + b.
  Var after(Forward& f, const Linear& linear, const Var& x, const Var& y, LowRankTerm term);
  /// The magnitudes' gradients from what the passes left.
  void collect(Stream& stream);
  /// Scales the rows of V, [out, in].
  void merge(const Linear& linear, std::vector<float>& v) const;

 private:
  struct Site {
    const Linear* linear;
    LowRankTerm term;
    Parameter magnitude;  // [out]
    Parameter factor;  // [out] m / ‖V‖, less one where it acts apart; its gradient is m's but for 1 / ‖V‖
    Tensor squares, inverse;  // [out] ‖W_j‖², 1 / ‖V_j‖
    std::vector<int32_t> bounds;
    bool apart = false;  // y + (m / ‖V‖ − 1) z with a product z of its own
  };
  std::deque<Site> sites_;
  std::unordered_map<const Linear*, size_t> by_linear_;
};

}  // namespace ft
