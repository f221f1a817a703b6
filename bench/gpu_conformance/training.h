// A short training on the device against the same one on the CPU: losses step by step, and that a second run
// on the device gives the same bits.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/core/dtype.h"

namespace ft::bench {

struct TrainingReport {
  std::string folder;
  DType type{};                     // of the activations on the device; the CPU computes in float32
  double tolerance = 0;             // of a loss, relative
  double worst = 0;                 // largest relative difference
  bool same_bits = false;           // losses and trained tensors of two runs on the device
  std::vector<double> cpu, device;  // losses
  std::string error;                // of a run that did not come to its end

  bool failed() const { return !error.empty() || !same_bits || !(worst <= tolerance); }
};

/// Ten steps as FOLDER/exp.yaml says (tokenised rows), on the CPU and on `device`, in float32, bfloat16 and
/// float16. Throws ft::InputError for a folder that is not such a one.
std::vector<TrainingReport> compare_training(const std::filesystem::path& folder, const std::string& device);

}  // namespace ft::bench
