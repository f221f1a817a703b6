#include "engine/train/plan.h"

#include <algorithm>
#include <cmath>

#include "engine/core/rng.h"

namespace ft {

StepPlan::StepPlan(const std::vector<DataRow>& rows, const TrainingSection& t, bool shuffle)
    : rows_(rows), shuffle_(shuffle), seed_(static_cast<uint64_t>(t.seed)) {
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
  if (!shuffle_) return;
  Rng rng(mix_key(seed_, static_cast<uint64_t>(epoch)), "shuffle");
  for (auto i = static_cast<uint32_t>(order_.size()); i > 1; --i)
    std::swap(order_[i - 1], order_[rng.below(i)]);
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
