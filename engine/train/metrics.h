// metrics.jsonl: one JSON object a line, flushed at once, so that others may follow the run.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/io/atomic_file.h"

namespace ft {

class MetricsFile {
 public:
  /// Opens for appending after cutting the file to `keep` bytes (0: a new file). A resumed run cuts what a
  /// killed one wrote behind its last checkpoint.
  MetricsFile(const std::filesystem::path& path, int64_t keep);
  /// Throws ft::WriteError when the disk does not take it.
  void write(const nlohmann::ordered_json& row);
  int64_t bytes() const { return bytes_; }

 private:
  std::filesystem::path path_;
  FileHandle file_;
  int64_t bytes_ = 0;
};

}  // namespace ft
