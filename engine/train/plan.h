// Which rows make which optimizer step: a function of (seed, epoch, step) alone, so a resumed run needs
// nothing but the number of the step.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/config/sections.h"
#include "engine/core/rng.h"
#include "engine/data/dataset.h"

namespace ft {

class StepPlan {
 public:
  /// `rows` of training data under the settings of `training`; `shuffle` permutes them anew each epoch, and
  /// `group_by_length` then gathers rows of similar length into the same steps.
  StepPlan(const std::vector<DataRow>& rows, const TrainingSection& training, bool shuffle,
           bool group_by_length = false);

  int64_t total_steps() const { return total_steps_; }
  int64_t steps_per_epoch() const { return steps_per_epoch_; }
  /// Rows of the 0-based optimizer step, in order. The last step of an epoch may be shorter.
  std::vector<const DataRow*> rows(int64_t step);
  /// Does an epoch end with this 0-based step?
  bool ends_epoch(int64_t step) const { return (step + 1) % steps_per_epoch_ == 0; }
  double epoch_after(int64_t steps) const {
    return static_cast<double>(steps) / static_cast<double>(steps_per_epoch_);
  }

 private:
  void shuffle_for(int64_t epoch);
  void group_lengths(Rng& rng);
  const std::vector<DataRow>& rows_;
  bool shuffle_, group_by_length_;
  uint64_t seed_;
  int64_t rows_per_step_, steps_per_epoch_, total_steps_;
  int64_t epoch_ = -1;
  std::vector<uint32_t> order_;
};

}  // namespace ft
