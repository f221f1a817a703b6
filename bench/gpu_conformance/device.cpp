#include "bench/gpu_conformance/device.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/core/stream.h"
#include "kernels/cuda/launch.h"

namespace ft::bench {
namespace {

struct KnownDevice {
  std::string_view part;  // of the name; the first row that fits counts
  int major;
  Roofline limits;
};
constexpr KnownDevice kKnown[] = {
    {"H200 NVL", 9, {4800, 835, 60}},
    {"H200", 9, {4800, 989, 67}},
    {"H100 NVL", 9, {3938, 835, 60}},
    {"H100 PCIe", 9, {2039, 756, 51}},
    {"H100", 9, {3352, 989, 67}},
    {"A100-SXM4-80GB", 8, {2039, 312, 19.5}},
    {"A100 80GB PCIe", 8, {1935, 312, 19.5}},
    {"A100", 8, {1555, 312, 19.5}},
};

}  // namespace

DeviceFacts device_facts() {
  if (cuda::device_count() == 0)
    bad_input("gpu_conformance: this machine has no CUDA device that can be used ({})", cuda_description());
  cudaDeviceProp p{};
  check_cuda(cudaGetDeviceProperties(&p, 0), "cudaGetDeviceProperties");
  DeviceFacts d;
  d.backend = device_names().back();
  d.name = p.name;
  d.major = p.major;
  d.minor = p.minor;
  check_cuda(cudaDriverGetVersion(&d.driver), "cudaDriverGetVersion");
  check_cuda(cudaRuntimeGetVersion(&d.runtime), "cudaRuntimeGetVersion");
  d.multiprocessors = p.multiProcessorCount;
  d.memory_bytes = static_cast<int64_t>(p.totalGlobalMem);
  d.l2_bytes = p.l2CacheSize;
  return d;
}

std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

double Roofline::least_ms(double bytes, double flops, DType type) const {
  return std::max(bytes / (gb_per_second * 1e6), flops / (tflops(type) * 1e9));
}

std::optional<Roofline> roofline_of(const DeviceFacts& device) {
  for (const KnownDevice& k : kKnown)
    if (device.major == k.major && device.name.find(k.part) != std::string::npos) return k.limits;
  return std::nullopt;
}

}  // namespace ft::bench
