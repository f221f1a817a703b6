// bench_kernels --device cuda: by CUDA's events, the median over rounds of calls that are queued back to back
// (so a launch's own cost is hidden where the kernel is longer than it).
#include "bench/kernels.h"
#include "kernels/cuda/stopwatch.h"

namespace ft::bench {
namespace {

const AddKernelBench cuda("cuda", [](const KernelOptions& options) {
  if (cuda::device_count() == 0) bad_input("--device cuda: this machine has no CUDA device that answers");
  CudaStream stream(0);
  Stopwatch watch(stream);
  fmt::print("{}\n", cuda::describe());
  return time_kernels(stream, options, [&](const std::function<void()>& f) {
    constexpr int kRounds = 15, kCalls = 20;
    std::vector<double> times;
    for (int round = 0; round < kRounds; ++round) {
      watch.start();
      for (int i = 0; i < kCalls; ++i) f();
      times.push_back(watch.seconds() / kCalls);
    }
    std::nth_element(times.begin(), times.begin() + kRounds / 2, times.end());
    return times[kRounds / 2];
  });
});

}  // namespace
}  // namespace ft::bench
