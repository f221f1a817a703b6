// Rows of token ids with their targets, from a file in one of the formats; tokenised once, kept in memory.
//
// labels[i] is the id that the model must predict at ids' position i (Hugging Face's convention: unshifted),
// or kNoTarget. For a causal model the target of position i is predicted at i − 1, so a row of n tokens has a
// target for each i ≥ 1 whose label is set; label 0 counts only behind a virtual prompt (decisions.md).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/config/sections.h"
#include "engine/data/template.h"
#include "engine/data/tokenizer.h"

namespace ft {

constexpr int32_t kNoTarget = -100;

struct DataRow {
  std::vector<int32_t> ids;
  std::vector<int32_t> labels;  // as long as ids
  int64_t line = 0;             // in the file

  /// Targets of a causal model, virtual prompt or not.
  int64_t targets(bool first_counts = false) const;
};

struct DataReport {
  int64_t rows = 0, tokens = 0, targets = 0, longest = 0;
  int64_t cut = 0;                            // rows longer than max_length that lost tokens
  int64_t dropped = 0;                        // … that were left out (truncation: drop)
  int64_t skipped = 0;                        // bad rows that were left out (on_bad_row: skip)
  int64_t without_target = 0;                 // rows that cannot teach anything; left out
  std::vector<int64_t> without_target_lines;  // the first few
};

struct Dataset {
  std::string source;
  std::vector<DataRow> rows;
  DataReport report;
};

struct DatasetOptions {
  std::shared_ptr<const Tokenizer> tokenizer;  // not needed for `tokenized`
  std::shared_ptr<const Template> prompt_template;
  TrainOn train_on = TrainOn::completion;
  int64_t max_length = 0;  // 0: no limit
  Truncation truncation = Truncation::keep_start;
  OnBadRow on_bad_row = OnBadRow::error;
  int64_t vocab = 0;  // ids must be below it
};

/// Throws ft::InputError "FILE:LINE: …" for a bad row, and for a file without a usable row.
Dataset load_dataset(const DataSet& set, const DatasetOptions& options);

/// Moves a share of the rows (chosen by the seed, order kept) into a second set.
Dataset split_off(Dataset& from, double fraction, uint64_t seed);

}  // namespace ft
