// checkpoint-N/: the trained weights, the optimizer's state, and everything else that the next step depends
// on. A checkpoint is written into a hidden neighbour, synced and renamed, so a folder of that name is always
// whole.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/config/node.h"
#include "engine/train/loss_scale.h"
#include "engine/train/optimizer.h"
#include "engine/train/trainer.h"

namespace ft {

/// The loop's own state. Dropout and shuffling are functions of (seed, step): there is no generator to save.
struct TrainerState {
  int64_t step = 0;                 // optimizer steps done
  int64_t tokens = 0, targets = 0;  // inputs and targets seen
  double log_loss = 0;              // Σ of step losses since the last log row
  int64_t log_steps = 0;
  std::optional<double> best;  // metric_for_best_model
  int64_t best_step = 0, evals_without_gain = 0;
  int64_t skipped = 0, skipped_in_a_row = 0;  // non-finite steps
  LossScale loss_scale;                       // of a float16 run
  int64_t metrics_bytes = 0;                  // length of metrics.jsonl
};

/// What a checkpoint must have in common with the run that goes on from it.
struct RunIdentity {
  ConfigNode resolved;
  std::string base, data, instruction_set;
};

std::filesystem::path checkpoint_path(const std::filesystem::path& output_dir, int64_t step);
bool is_checkpoint(const std::filesystem::path& folder);
/// The optimizer steps behind it. Throws ft::InputError for a damaged one.
int64_t checkpoint_step(const std::filesystem::path& folder);
/// Checkpoints of a run, oldest first.
std::vector<std::filesystem::path> list_checkpoints(const std::filesystem::path& output_dir);

/// Throws ft::WriteError, which names the file by its place in `folder`; an earlier folder then stands as it
/// was.
void save_checkpoint(const std::filesystem::path& folder, const TrainerState& state,
                     const OptimizerState& optimizer, const WeightFiles& weights,
                     const RunIdentity& identity);
/// Throws ft::InputError where base or data differ, or settings that shape training: these are listed, a line
/// each behind the first. `anyway`: another base is still refused, the rest becomes a warning. Returns
/// warnings, a line each.
std::vector<std::string> load_checkpoint(const std::filesystem::path& folder, TrainerState& state,
                                         OptimizerState& optimizer, const WeightFiles& weights,
                                         const RunIdentity& identity, bool anyway = false);
/// Keeps the newest `limit` checkpoints, that of `step`, which was just written, and the best one.
void prune_checkpoints(const std::filesystem::path& output_dir, int64_t limit, int64_t step,
                       int64_t best_step);
/// Removes the checkpoints of a run that lie behind `step`, where it goes on: its log is cut there, and they
/// cannot be resumed from any more. Returns how many.
int64_t forget_checkpoints_behind(const std::filesystem::path& output_dir, int64_t step);

/// Hash of ids and labels in order.
std::string data_fingerprint(const Dataset& data);
/// "avx2", "avx512", …: bits are promised on one instruction set.
std::string instruction_set();

}  // namespace ft
