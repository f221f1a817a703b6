#include "engine/train/metrics.h"

#include <cerrno>
#include <cstring>
#include <system_error>

#include "engine/core/check.h"

namespace ft {

MetricsFile::MetricsFile(const std::filesystem::path& path, int64_t keep) : path_(path) {
  std::error_code error;
  if (keep > 0) {
    const auto size = std::filesystem::file_size(path, error);
    if (error || static_cast<int64_t>(size) < keep)
      bad_input("{}: shorter than when the checkpoint was written; start again with --overwrite",
                path.string());
    std::filesystem::resize_file(path, static_cast<uintmax_t>(keep), error);
    if (error) fail("{}: cannot cut to {} bytes: {}", path.string(), keep, error.message());
  }
  file_ = std::fopen(path.c_str(), keep > 0 ? "ab" : "wb");
  if (!file_) fail("{}: cannot write: {}", path.string(), std::strerror(errno));
  bytes_ = keep;
}

MetricsFile::~MetricsFile() {
  std::fclose(file_);
}

void MetricsFile::write(const nlohmann::ordered_json& row) {
  const std::string line = row.dump() + "\n";
  if (std::fwrite(line.data(), 1, line.size(), file_) != line.size() || std::fflush(file_) != 0)
    fail("{}: cannot write: {}; the last checkpoint is in order", path_.string(), std::strerror(errno));
  bytes_ += static_cast<int64_t>(line.size());
}

}  // namespace ft
