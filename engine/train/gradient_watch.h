// A trained tensor that gets no gradient is not trained, whatever the loss does. Some have none at the start
// by their method (LoRA's A while B is zero); none of them from the second step on whose learning rate is
// above zero. From there a gradient of exactly zero in each of the next few steps ends the run with the
// tensor's name. A few, because one step may be odd by its data. Costs nothing: the sums of squares are those
// of the gradient's norm.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/train/optimizer.h"

namespace ft {

class GradientWatch {
 public:
  GradientWatch(const TrainingSection& settings, int64_t total_steps)
      : settings_(settings), total_steps_(total_steps) {}

  /// After gradient_norm() of the 0-based `step`, taken with `learning_rate`. Throws ft::Error.
  void see(const OptimizerState& optimizer, int64_t step, double learning_rate);

 private:
  const TrainingSection& settings_;
  int64_t total_steps_;
  std::vector<int64_t> zeros_;  // steps in a row, of each parameter
};

}  // namespace ft
