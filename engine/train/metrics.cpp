#include "engine/train/metrics.h"

#include <cerrno>
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
    if (error) throw WriteError(path, error.value());
  }
  file_.reset(std::fopen(path.c_str(), keep > 0 ? "ab" : "wb"));
  if (!file_) throw WriteError(path, errno);
  bytes_ = keep;
}

void MetricsFile::write(const nlohmann::ordered_json& row) {
  const std::string line = row.dump() + "\n";
  if (std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size() || std::fflush(file_.get()) != 0)
    throw WriteError(path_, errno);
  bytes_ += static_cast<int64_t>(line.size());
}

}  // namespace ft
