// Tokenised rows on disk, so that a large file is tokenised once and looked at where it lies.
//
// The file's name holds a key of all that the rows depend on: the data file's bytes, the tokenizer, the
// template and the settings; another key is another file. It is written under a hidden name and renamed when
// whole. One that does not hold together is not used but written anew.
//
//   rows: ids [n] int32, labels [n] int32, one row behind the other
//   index: line int64, n int64 a row;  report: JSON;  footer: places and sizes of these, and the key
#pragma once

#include <filesystem>
#include <optional>

#include "engine/data/dataset.h"
#include "engine/io/atomic_file.h"

namespace ft {

struct CacheKey {
  uint64_t high = 0, low = 0;
};
/// Reads all of the data file.
CacheKey cache_key(const DataSet& set, const DatasetOptions& options);
std::filesystem::path cache_path(const DataSet& set, const DatasetOptions& options, const CacheKey& key);

/// Rows as they are made; commit() makes the file.
class RowCacheWriter {
 public:
  /// Makes the folder. Throws WriteError.
  RowCacheWriter(const std::filesystem::path& path, const CacheKey& key);
  void add(std::span<const int32_t> ids, std::span<const int32_t> labels, int64_t line);
  void commit(const DataReport& report);

 private:
  AtomicFile file_;
  CacheKey key_;
  uint64_t bytes_ = 0, sum_ = 0;
  std::vector<int64_t> index_;  // line and n of each row
};

/// The rows of a cache file, mapped; nothing where there is none that fits. Reads all of it: ids must be
/// below `vocab`.
std::optional<Dataset> read_row_cache(const std::filesystem::path& path, const CacheKey& key, int64_t vocab);

}  // namespace ft
