// bench_kernels --device cpu: the least time of a call by the clock on the wall.
#include <chrono>

#include "bench/kernels.h"
#include "engine/core/thread_pool.h"

namespace ft::bench {
namespace {

double least_seconds(const std::function<void()>& f) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  double least = 1e9;
  for (int calls = 0; calls < 5 || Clock::now() - begin < std::chrono::milliseconds(50); ++calls) {
    const auto start = Clock::now();
    f();
    least = std::min(least, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return least;
}

const AddKernelBench cpu("cpu", [](const KernelOptions& options) {
  ThreadPool pool(options.threads);
  CpuStream stream(pool);
  return time_kernels(stream, options, least_seconds);
});

}  // namespace
}  // namespace ft::bench
