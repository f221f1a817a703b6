#include "engine/train/gradient_watch.h"

#include <algorithm>
#include <string_view>

namespace ft {
namespace {

constexpr int64_t kSteps = 3;

// Without rotary embedding a key's bias moves every score of a query alike: no gradient in exact arithmetic.
bool may_be_zero(std::string_view name) {
  return name.ends_with("k_proj.bias") || name.ends_with("key.bias") || name.ends_with("k_lin.bias");
}

}  // namespace

void GradientWatch::see(const OptimizerState& optimizer, int64_t step, double learning_rate) {
  // Warm-up starts at zero: the method leaves its start one step later.
  const int64_t first = (settings_.warmup(total_steps_) > 0 ? 1 : 0) + 1,
                steps = std::min(kSteps, total_steps_ - first);
  if (step < first || step >= first + steps || !(learning_rate > 0)) return;
  zeros_.resize(optimizer.parameters().size());
  for (size_t i = 0; i < zeros_.size(); ++i) {
    const Parameter& p = *optimizer.parameters()[i];
    zeros_[i] = optimizer.squares()[i] == 0 && !may_be_zero(p.name) ? zeros_[i] + 1 : 0;
    if (zeros_[i] == steps)
      fail(
          "the gradient of {} is exactly zero, {} steps in a row: nothing trains it; look whether weights of "
          "the "
          "base are all zero there, or take it out of what is trained",
          p.name, steps);
  }
}

}  // namespace ft
