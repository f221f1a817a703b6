// Rows of token ids with their targets, from files in one of the formats; tokenised once.
//
// labels[i] is the id that the model must predict at ids' position i (Hugging Face's convention: unshifted),
// or kNoTarget. For a causal model the target of position i is predicted at i − 1, so a row of n tokens has a
// target for each i ≥ 1 whose label is set; label 0 counts only behind a virtual prompt (decisions.md).
//
// Rows that are read look at ids that lie elsewhere: in an arena, or in a mapped cache file (row_cache.h),
// which leaves an index of 56 bytes a row in memory, however large the set.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/config/sections.h"
#include "engine/data/id_list.h"
#include "engine/data/template.h"
#include "engine/data/tokenizer.h"

namespace ft {

constexpr int32_t kNoTarget = -100;

struct DataRow {
  IdList ids;
  IdList labels;     // as long as ids
  int64_t line = 0;  // in the file

  /// Targets of a causal model, virtual prompt or not.
  int64_t targets(bool first_counts = false) const;
};

/// Rows in memory; they live as long as the object.
class RowArena {
 public:
  DataRow keep(std::span<const int32_t> ids, std::span<const int32_t> labels, int64_t line = 0);

 private:
  std::deque<std::vector<int32_t>> chunks_;  // a chunk never grows beyond its capacity
};

struct DataReport {
  int64_t rows = 0, tokens = 0, targets = 0, longest = 0;
  int64_t cut = 0;                            // rows longer than max_length that lost tokens
  int64_t dropped = 0;                        // … that were left out (truncation: drop)
  int64_t skipped = 0;                        // bad rows that were left out (on_bad_row: skip)
  int64_t split = 0;                          // rows that conversations gave beyond one each
  int64_t without_target = 0;                 // rows that cannot teach anything; left out
  std::vector<int64_t> without_target_lines;  // the first few
  std::string first_skipped;                  // what was wrong with it

  void count(const DataRow& row);
  /// Adds another file's.
  void add(const DataReport& other);
};

struct Dataset {
  std::string source;
  std::vector<DataRow> rows;
  DataReport report;
  bool corpus = false;                                    // format text: its evaluation reports perplexity
  std::vector<std::shared_ptr<const void>> storage = {};  // what the rows look at
};

struct DatasetOptions {
  std::shared_ptr<const Tokenizer> tokenizer;  // not needed for `tokenized`
  std::shared_ptr<const Template> prompt_template;
  TrainOn train_on = TrainOn::completion;
  int64_t max_length = 0;  // 0: no limit
  Truncation truncation = Truncation::keep_start;
  OnBadRow on_bad_row = OnBadRow::error;
  int64_t vocab = 0;                     // ids must be below it
  int64_t block_size = 0;                // of format text; 0: max_length, at most 1024
  uint64_t seed = 0;                     // draws among several templates
  std::filesystem::path cache_dir = {};  // empty: rows are kept in memory
  uint64_t cache_from_bytes = 0;         // files that are smaller are kept in memory
  bool speakers = false;                 // rows read one by one tell who wrote each token
};

/// Throws ft::InputError "FILE:LINE: …" for a bad row, and for a file without a usable row.
Dataset load_dataset(const DataSet& set, const DatasetOptions& options);

/// Moves a share of the rows (chosen by the seed, order kept) into a second set.
Dataset split_off(Dataset& from, double fraction, uint64_t seed);

/// Repeats the rows of a file: `weight` times an epoch, the part below one as rows drawn by the seed.
void apply_weight(Dataset& data, double weight, uint64_t seed);

/// The rows of all, one set behind the other.
Dataset join(std::vector<Dataset> sets);

}  // namespace ft
