// exp.yaml as a whole: load, check, and write back with every value that was used.
//
//   exp.yaml + --set  --load-->  Experiment  --to_resolved-->  resolved.yaml, which loads to an equal
//   Experiment
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "engine/config/node.h"
#include "engine/config/sections.h"

namespace ft {

struct Experiment {
  std::filesystem::path yaml;  // the file it was read from, absolute
  ModelSection model;
  std::vector<ConfigNode> adapters;  // mappings; each method reads its own with Fields. init_from is absolute
  std::vector<std::string> trainable;  // regular expressions over parameter names, beside the adapters
  DataSection data;
  TrainingSection training;
  GenerationSection generation;
  std::string device = "auto";

  /// Equal settings, wherever they were read from.
  friend bool operator==(const Experiment& a, const Experiment& b) {
    return a.model == b.model && a.adapters == b.adapters && a.trainable == b.trainable && a.data == b.data &&
           a.training == b.training && a.generation == b.generation && a.device == b.device;
  }
};

struct LoadOptions {
  bool check_files = true;  // model and data files must exist
};

/// Reads the file and applies `overrides` in their order. Throws InputError "FILE:LINE: …".
Experiment load_experiment(const std::filesystem::path& yaml, std::span<const std::string> overrides = {},
                           const LoadOptions& options = {});
/// The same from a tree; relative paths start from each node's source.
Experiment parse_experiment(const ConfigNode& root, const LoadOptions& options = {});

/// Sets one value of the tree: "key.path=value", the value in YAML ("training.seed=1", "adapter.0.r=16",
/// "adapter.target_modules=[q_proj]"). Missing mappings are made, so that a wrong name ends as an unknown key
/// when the tree is parsed. Relative paths in it start from the working folder. Throws InputError.
void apply_override(ConfigNode& root, const std::string& assignment);

/// Every key with the value in use, defaults included. The caller may fill in what only it knows: an
/// adapter's defaults, training.learning_rate, and under `ftengine` version, commit and device, which loading
/// ignores.
ConfigNode to_resolved(const Experiment& experiment);

/// All keys with defaults and meanings, for `ftengine list`.
std::string defaults_text();

}  // namespace ft
