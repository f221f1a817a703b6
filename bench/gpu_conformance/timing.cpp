#include "bench/gpu_conformance/timing.h"

#include <algorithm>
#include <utility>

#include "kernels/cuda/launch.h"
#include "tests/cuda/kernel_cases.h"

namespace ft::bench {
namespace {

constexpr int kWarmUps = 3, kRounds = 15;

class Event {
 public:
  Event() { check_cuda(cudaEventCreate(&event_), "cudaEventCreate"); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { cudaEventDestroy(event_); }
  void record(const CudaStream& s) { check_cuda(cudaEventRecord(event_, s.handle()), "cudaEventRecord"); }
  /// Waits for both.
  double ms_since(const Event& start) const {
    check_cuda(cudaEventSynchronize(event_), "cudaEventSynchronize");
    float ms = 0;
    check_cuda(cudaEventElapsedTime(&ms, start.event_, event_), "cudaEventElapsedTime");
    return static_cast<double>(ms);
  }

 private:
  cudaEvent_t event_ = nullptr;
};

/// Memory whose clearing leaves nothing else in the cache.
class CacheFlush {
 public:
  explicit CacheFlush(const DeviceFacts& d)
      : bytes_(static_cast<size_t>(2 * d.l2_bytes)),
        p_(device_allocate({DeviceKind::cuda, 0}, bytes_, MemoryClass::workspace)) {}
  CacheFlush(const CacheFlush&) = delete;
  CacheFlush& operator=(const CacheFlush&) = delete;
  ~CacheFlush() { device_free({DeviceKind::cuda, 0}, p_, bytes_, MemoryClass::workspace); }
  void run() { fill_zero({DeviceKind::cuda, 0}, p_, bytes_); }

 private:
  size_t bytes_;
  void* p_;
};

/// A row of the shape table at the sizes of a layer of an 8 B model; what a row has not, it does not get.
KernelShape enlarged(KernelShape c) {
  const auto set = [](int64_t& size, int64_t to) {
    if (size > 0) size = to;
  };
  const bool table = c.op.starts_with("embedding"), generation = c.keys > 0, head = c.op == "cross_entropy";
  if (generation) {
    c.tokens = c.samples = 16;
    c.keys = 4096;
  } else if (!head && c.tokens > 1) {
    c.tokens = 2048;
  }
  set(c.cols, 4096);
  set(c.outputs, head ? 128256 : table ? 32000 : 4096);
  set(c.rank, 16);
  set(c.heads, 32);
  set(c.kv_heads, 8);
  set(c.head_dim, 128);
  set(c.prefix, 32);
  if (c.variant == "rms of heads") {
    c.tokens = 2048 * 32;
    c.cols = 128;
  }
  return c;
}

double median_ms(CudaStream& stream, CacheFlush& cache, const std::function<void(CudaStream&)>& launch) {
  for (int i = 0; i < kWarmUps; ++i) launch(stream);
  std::vector<double> ms;
  for (int i = 0; i < kRounds; ++i) {
    Event start, end;
    cache.run();
    start.record(stream);
    launch(stream);
    end.record(stream);
    ms.push_back(end.ms_since(start));
  }
  std::nth_element(ms.begin(), ms.begin() + kRounds / 2, ms.end());
  return ms[kRounds / 2];
}

}  // namespace

std::vector<Timing> time_kernels(const DeviceFacts& device, bool quick) {
  const std::optional<Roofline> limits = roofline_of(device);
  CudaStream stream(0);
  CacheFlush cache(device);
  std::vector<Timing> all;
  for (const KernelCase<CudaStream>& c : kernel_cases<CudaStream>()) {
    const KernelShape shape = quick ? c.shape : enlarged(c.shape);
    Timing t{.op = std::string(shape.op),
             .variant = std::string(shape.variant),
             .sizes = sizes_of(shape),
             .type = c.type,
             .roofline_share = {},
             .error = {}};
    try {
      Operands operands(stream.device());
      const Launch<CudaStream> launch = c.make(shape, operands);
      t.ms = median_ms(stream, cache, launch.run);
      t.gb_per_second = launch.work.bytes / t.ms * 1e-6;
      t.tflops = launch.work.flops / t.ms * 1e-9;
      if (limits) t.roofline_share = limits->least_ms(launch.work.bytes, launch.work.flops, c.type) / t.ms;
    } catch (const Error& e) {
      t.error = e.what();
    }
    all.push_back(std::move(t));
  }
  return all;
}

}  // namespace ft::bench
