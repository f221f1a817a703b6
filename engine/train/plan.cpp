#include "engine/train/plan.h"

#include <algorithm>
#include <cmath>

namespace ft {

constexpr int64_t kGroupedSteps = 50;

StepPlan::StepPlan(const std::vector<DataRow>& rows, const TrainingSection& t, bool shuffle,
                   bool group_by_length)
    : rows_(rows),
      shuffle_(shuffle),
      group_by_length_(group_by_length),
      seed_(static_cast<uint64_t>(t.seed)) {
  rows_per_step_ = t.per_device_train_batch_size * t.gradient_accumulation_steps;
  const auto count = static_cast<int64_t>(rows.size());
  steps_per_epoch_ = (count + rows_per_step_ - 1) / rows_per_step_;
  total_steps_ =
      t.max_steps
          ? *t.max_steps
          : static_cast<int64_t>(std::ceil(t.num_train_epochs * static_cast<double>(steps_per_epoch_)));
}

void StepPlan::shuffle_for(int64_t epoch) {
  if (epoch == epoch_) return;
  epoch_ = epoch;
  order_.resize(rows_.size());
  for (uint32_t i = 0; i < order_.size(); ++i) order_[i] = i;
  Rng rng(mix_key(seed_, static_cast<uint64_t>(epoch)), "shuffle");
  if (shuffle_)
    for (auto i = static_cast<uint32_t>(order_.size()); i > 1; --i)
      std::swap(order_[i - 1], order_[rng.below(i)]);
  if (group_by_length_) group_lengths(rng);
}

// The rows of kGroupedSteps steps at a time, sorted by length; whole steps among them then change places, so
// that lengths do not climb through training. A last, shorter step stays the last.
void StepPlan::group_lengths(Rng& rng) {
  const auto count = static_cast<int64_t>(order_.size());
  const auto length = [&](uint32_t row) { return rows_[row].ids.size(); };
  for (int64_t begin = 0; begin < count; begin += kGroupedSteps * rows_per_step_) {
    const int64_t end = std::min(begin + kGroupedSteps * rows_per_step_, count);
    const auto first = order_.begin() + begin;
    std::stable_sort(first, order_.begin() + end,
                     [&](uint32_t a, uint32_t b) { return length(a) > length(b); });
    if (!shuffle_) continue;
    for (int64_t steps = (end - begin) / rows_per_step_; steps > 1; --steps) {
      const auto other = static_cast<int64_t>(rng.below(static_cast<uint32_t>(steps)));
      const auto last = first + (steps - 1) * rows_per_step_;
      if (other != steps - 1) std::swap_ranges(last, last + rows_per_step_, first + other * rows_per_step_);
    }
  }
}

std::vector<const DataRow*> StepPlan::rows(int64_t step) {
  shuffle_for(step / steps_per_epoch_);
  const int64_t begin = step % steps_per_epoch_ * rows_per_step_;
  const int64_t end = std::min(begin + rows_per_step_, static_cast<int64_t>(order_.size()));
  std::vector<const DataRow*> rows;
  for (int64_t i = begin; i < end; ++i) rows.push_back(&rows_[order_[i]]);
  return rows;
}

}  // namespace ft
