// metrics.jsonl: one JSON object a line, flushed at once, so that others may follow the run.
#pragma once

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

namespace ft {

class MetricsFile {
 public:
  /// Opens for appending after cutting the file to `keep` bytes (0: a new file). A resumed run cuts what a
  /// killed one wrote behind its last checkpoint.
  MetricsFile(const std::filesystem::path& path, int64_t keep);
  ~MetricsFile();
  MetricsFile(const MetricsFile&) = delete;
  MetricsFile& operator=(const MetricsFile&) = delete;

  /// Throws ft::Error when the disk does not take it.
  void write(const nlohmann::ordered_json& row);
  int64_t bytes() const { return bytes_; }

 private:
  std::filesystem::path path_;
  std::FILE* file_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace ft
