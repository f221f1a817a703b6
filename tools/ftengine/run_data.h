// The data of an experiment, as training, checking and evaluation open it alike.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/config/experiment.h"
#include "engine/data/dataset.h"
#include "engine/nn/adapter.h"

namespace ft {

struct RunData {
  std::shared_ptr<const Tokenizer> tokenizer;       // null: nothing of the experiment is text
  std::shared_ptr<const Template> prompt_template;  // null likewise
  Dataset train;
  std::vector<std::pair<std::string, Dataset>> evals;  // with the set's name; empty: the only one
};

/// What samples may have of the model's positions: virtual tokens take theirs first. 0: no limit.
int64_t room_for_samples(const ModelFacts& facts, std::span<Adapter* const> adapters);
/// Tokenizer and template, if anything of the experiment is text.
void open_text(const Experiment& e, RunData& data);
/// How the experiment's files are read; open_text() comes first.
DatasetOptions dataset_options(const Experiment& e, const RunData& data, const ModelFacts& facts,
                               int64_t room);
/// The rows. Throws ft::InputError.
void open_data(const Experiment& e, const ModelFacts& facts, int64_t room, RunData& data);

}  // namespace ft
