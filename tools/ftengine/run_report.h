// What a run tells a person on stderr: at the start what will be trained on what, at the end where things
// are.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/config/experiment.h"
#include "engine/data/dataset.h"
#include "engine/data/template.h"
#include "engine/nn/adapter.h"
#include "engine/train/trainer.h"
#include "models/load.h"

namespace ft {

struct RunSubject {
  const Experiment& experiment;
  const LoadedModel& loaded;
  const Adapter& adapter;
  const Template* prompt_template;  // null without text
  const Dataset& train;
  const std::vector<std::pair<std::string, Dataset>>& evals;
  int threads;
};

/// Model, adapter (trained, total, stored), data, and a warning for every row that was cut or left out.
void print_start(const RunSubject& subject);
/// Steps, time, speed, memory, and the commands that a person types next.
void print_end(const RunSubject& subject, const TrainResult& result);

}  // namespace ft
