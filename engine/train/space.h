// Will what a run is going to write fit on the disk? Asked before the first step: a disk that fills up after
// a night of training is a bad time to find out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "engine/config/sections.h"

namespace ft {

/// What a run will write, in bytes and numbers of files.
struct DiskPlan {
  double weights = 0;                 // what is trained, as it is saved: adapter or whole model
  double optimizer = 0;               // its state
  int64_t saves = 0;                  // checkpoints to come
  bool saves_none = false;            // save_strategy: no; an interrupt saves all the same
  std::optional<int64_t> limit = {};  // save_total_limit
  bool keeps_best = false;            // the best one stays beside the newest
};

/// Checkpoints that stand side by side at the worst moment, the one that is being written included: at least
/// two, since the last good one goes only when its successor is whole.
int64_t checkpoints_at_once(const DiskPlan& plan);

/// All of them, the result, and what is small.
double bytes_needed(const DiskPlan& plan);

/// Checkpoints that the run writes behind step `done`.
int64_t planned_saves(const TrainingSection& training, int64_t total_steps, int64_t steps_per_epoch,
                      int64_t done);

/// What the file system of `folder` (or of its nearest parent that exists) has for this user; nothing where
/// it does not say.
std::optional<double> free_bytes(const std::filesystem::path& folder);

/// Throws ft::InputError if `plan` needs more than `free` bytes.
void check_space(const DiskPlan& plan, double free, const std::filesystem::path& output_dir);

}  // namespace ft
