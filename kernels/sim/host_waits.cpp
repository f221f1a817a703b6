// Which calls made the host wait, or might have.
#include <mutex>

#include "kernels/sim/runtime.h"
#include "kernels/sim/sim.h"
#include "kernels/sim/stream_queue.h"

namespace ft::sim {
namespace {

std::mutex mutex;
std::map<std::string, uint64_t>& waits() {
  static auto* all = new std::map<std::string, uint64_t>;  // static destructors free memory too
  return *all;
}

}  // namespace

std::map<std::string, uint64_t> host_waits() {
  const std::lock_guard lock(mutex);
  return waits();
}

void clear_host_waits() {
  const std::lock_guard lock(mutex);
  waits().clear();
}

bool may_wait(const char* call) {
  {
    const std::lock_guard lock(mutex);
    ++waits()[call];
  }
  if (!any_capturing()) return true;
  break_captures();
  set_error(cudaErrorStreamCaptureUnsupported, std::string(call) + " while a stream captures");
  return false;
}

}  // namespace ft::sim
