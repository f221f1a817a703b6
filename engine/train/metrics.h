// metrics.jsonl: one JSON object a line, flushed at once, so that others may follow the run.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/io/append_file.h"

namespace ft {

class MetricsFile {
 public:
  /// Opens for appending after cutting the file to `keep` bytes (0: a new file). A resumed run cuts what a
  /// killed one wrote behind its last checkpoint.
  MetricsFile(const std::filesystem::path& path, int64_t keep);
  /// Throws ft::WriteError when the disk does not take it.
  void write(const nlohmann::ordered_json& row);
  /// A checkpoint counts on the rows before it: they must survive what it survives.
  void sync() const { file_.sync(); }
  int64_t bytes() const { return file_.bytes(); }

 private:
  AppendFile file_;
};

}  // namespace ft
