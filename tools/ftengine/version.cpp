#include "tools/ftengine/version.h"

#include <fmt/format.h>

#include "commit.h"  // made by the build
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
  return fmt::format(
      "ftengine {} ({})\n"
      "devices: {}\n"
      "cpu:     {} instructions in use, {} threads\n"
      "products: ftengine's own (batch-invariant, packed weights)\n"
      "cuda:    {}",
      FT_VERSION, FT_COMMIT, fmt::join(device_names(), ", "), instruction_set(),
      ThreadPool::default_threads(), cuda_description());
}

}  // namespace ft
