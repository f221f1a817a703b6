#include "engine/train/space.h"

#include <algorithm>

#include "engine/core/check.h"
#include "engine/train/progress.h"

namespace ft {
namespace {

constexpr double kSmallFiles = 64e3;  // of a checkpoint: configuration and state, in whole blocks
constexpr double kLogs = 1e6;         // metrics, events, report

}  // namespace

int64_t checkpoints_at_once(const DiskPlan& p) {
  if (p.saves_none) return 1;
  int64_t kept = p.saves;
  if (p.limit && *p.limit < p.saves) kept = std::min(p.saves, *p.limit + 1 + (p.keeps_best ? 1 : 0));
  return std::max<int64_t>(kept, 2);
}

double bytes_needed(const DiskPlan& p) {
  return static_cast<double>(checkpoints_at_once(p)) * (p.weights + p.optimizer + kSmallFiles) + p.weights +
         kLogs;
}

int64_t planned_saves(const TrainingSection& t, int64_t total_steps, int64_t steps_per_epoch, int64_t done) {
  if (t.save_strategy == SaveStrategy::no || done >= total_steps) return 0;
  const int64_t every = t.save_strategy == SaveStrategy::steps   ? t.save_steps.value_or(total_steps)
                        : t.save_strategy == SaveStrategy::epoch ? steps_per_epoch
                                                                 : total_steps;
  return total_steps / every - done / every + (total_steps % every != 0 ? 1 : 0);
}

std::optional<double> free_bytes(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::path at = std::filesystem::absolute(folder, error).lexically_normal();
  while (!error && !std::filesystem::exists(at, error) && at.has_relative_path()) at = at.parent_path();
  const std::filesystem::space_info space = std::filesystem::space(at, error);
  if (error || space.capacity == 0 || space.available > space.capacity) return std::nullopt;
  return static_cast<double>(space.available);
}

void check_space(const DiskPlan& plan, double free, const std::filesystem::path& output_dir) {
  const double needed = bytes_needed(plan);
  if (needed <= free) return;
  bad_input(
      "{}: {} free, the run needs {} ({} checkpoints of {}); free some, set training.output_dir elsewhere, "
      "or "
      "{} training.save_total_limit",
      output_dir.string(), human_bytes(free), human_bytes(needed), with_commas(checkpoints_at_once(plan)),
      human_bytes(plan.weights + plan.optimizer + kSmallFiles), plan.limit ? "lower" : "set");
}

}  // namespace ft
