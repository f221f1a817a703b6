// The run loop. It sees a model, the parameters to train, rows and settings; what the weights are saved as
// (an adapter, a whole model) is the caller's, by two functions.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/config/experiment.h"
#include "engine/data/dataset.h"
#include "engine/nn/adapter_step.h"

namespace ft {

struct EvalSet {
  std::string metric;  // "eval_loss", "eval_target_loss"
  const Dataset* data;
};

/// Writes or reads the trained weights as files of a folder that exists.
struct WeightFiles {
  std::function<void(const std::filesystem::path&folder)> save, load;
};

struct TrainJob {
  const Experiment& experiment;
  ConfigNode resolved;  // what resolved.yaml says
  Model& model;
  std::vector<Adapter*> adapters;
  std::vector<Parameter*> trainables;
  const Dataset& train;
  std::vector<EvalSet> eval;
  double learning_rate = 0;
  WeightFiles weights;
  std::string base_fingerprint;
  std::filesystem::path resume_from;               // a checkpoint folder, or empty
  bool resume_anyway = false;                      // although settings or data have changed
  const std::atomic<bool>* interrupted = nullptr;  // Ctrl-C
};

struct TrainResult {
  bool interrupted = false;
  int64_t steps = 0;
  std::filesystem::path checkpoint;  // the last one written
  double seconds = 0, tokens_per_second = 0;
  std::vector<std::pair<std::string, double>> last_eval;
  int64_t last_eval_step = -1;  // of the weights that the run ends with, if it is `steps`
};

/// Mean loss over a set: the same numbers whatever `batch`, the rows that a GPU takes together.
double evaluate(Model& model, std::span<Adapter* const> adapters, Stream& stream, DType compute,
                const Dataset& data, int64_t batch = 1);

TrainResult train(TrainJob& job, Stream& stream, DType compute);

}  // namespace ft
