#include "tools/ftengine/version.h"

#include <fmt/format.h>

#include "commit.h"  // made by the build
#include "engine/core/device_info.h"
#include "engine/core/stream.h"
#include "engine/core/thread_pool.h"
#include "engine/train/checkpoint.h"

#ifndef FT_VERSION
#define FT_VERSION "unknown"
#endif

namespace ft {

std::string version_number() {
  return FT_VERSION;
}
std::string commit() {
  return FT_COMMIT;
}

std::string version_text() {
  std::string text = fmt::format(
      "ftengine {} ({})\n"
      "devices: {}\n"
      "cpu:     {} instructions in use, {} threads\n"
      "blas:    none; products are ftengine's own (batch-invariant, packed weights)\n"
      "cuda:    {}",
      FT_VERSION, FT_COMMIT, fmt::join(device_names(), ", "), instruction_set(),
      ThreadPool::default_threads(), cuda_versions());
  const std::vector<DeviceInfo> found = cuda_devices();
  for (size_t i = 0; i < found.size(); ++i)
    text += fmt::format("\ncuda:{}   {}, compute capability {}.{}, {:.1f} GB", i, found[i].name,
                        found[i].major, found[i].minor, static_cast<double>(found[i].memory_bytes) * 1e-9);
  return text;
}

}  // namespace ft
