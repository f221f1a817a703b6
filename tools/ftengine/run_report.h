// What a run tells a person: on stderr at the start what will be trained on what, at the end where things
// are; and in report.html.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "adapters/stack.h"
#include "engine/config/experiment.h"
#include "engine/data/dataset.h"
#include "engine/data/template.h"
#include "engine/train/report.h"
#include "engine/train/trainer.h"
#include "models/load.h"

namespace ft {

struct RunSubject {
  const Experiment& experiment;
  const LoadedModel& loaded;
  const AdapterStack& adapters;
  const Template* prompt_template;  // null without text
  const Dataset& train;
  const std::vector<std::pair<std::string, Dataset>>& evals;
  std::string machine;  // what computes
};

/// Model, adapter (trained, total, stored), data, and a warning for every row that was cut or left out.
void print_start(const RunSubject& subject);
/// Steps, time, speed, memory, and the commands that a person types next.
void print_end(const RunSubject& subject, const TrainResult& result);

/// report.html in output_dir, from what metrics.jsonl there says and `samples`. `resolved` is resolved.yaml's
/// text. Throws ft::WriteError.
void write_report(const RunSubject& subject, const TrainResult& result, std::vector<SampleAnswers> samples,
                  std::string resolved);

}  // namespace ft
