// The findings as tables for people and as one JSON document for programs.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "bench/gpu_conformance/checks.h"
#include "bench/gpu_conformance/device.h"
#include "bench/gpu_conformance/timing.h"
#include "bench/gpu_conformance/training.h"

namespace ft::bench {

struct Conformance {
  DeviceFacts device;
  std::vector<OpReport> ops;
  std::vector<TrainingReport> training;
  std::vector<Timing> timings;
  std::string timing_note;  // why there are none

  /// Cases, trainings and timed kernels that failed.
  int64_t failed() const;
};

void print_device(const DeviceFacts& d);
void print_ops(const std::vector<OpReport>& ops);
void print_training(const std::vector<TrainingReport>& training);
void print_timings(const std::vector<Timing>& timings);
/// Replaces `file`, all or nothing.
void write_json(const Conformance& c, const std::filesystem::path& file);

}  // namespace ft::bench
