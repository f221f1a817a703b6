#include "engine/train/metrics.h"

#include <system_error>

#include "engine/io/atomic_file.h"
#include "engine/io/disk.h"

namespace ft {
namespace {

// The file without what stands behind `keep` bytes.
const std::filesystem::path& cut(const std::filesystem::path& path, int64_t keep) {
  if (keep == 0) return path;
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error || static_cast<int64_t>(size) < keep)
    bad_input("{}: shorter than when the checkpoint was written; start again with --overwrite",
              path.string());
  if (const int failed = disk::resize(path, static_cast<size_t>(keep))) throw WriteError(path, failed);
  return path;
}

}  // namespace

MetricsFile::MetricsFile(const std::filesystem::path& path, int64_t keep)
    : file_(cut(path, keep), keep > 0) {}

void MetricsFile::write(const nlohmann::ordered_json& row) {
  file_.append(row.dump() + "\n");
}

}  // namespace ft
