#include "engine/core/device_info.h"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "kernels/cuda/cublaslt.h"
#include "kernels/cuda/launch.h"

namespace ft::cuda {
namespace {

// 13010 is 13.1.
std::string cuda_version(int v) {
  return fmt::format("{}.{}", v / 1000, v % 1000 / 10);
}

std::string cublaslt_version() {
  try {
    const size_t v = cublaslt().version();
    return v == 0 ? "answered by the simulator" : fmt::format("{}.{}.{}", v / 10000, v / 100 % 100, v % 100);
  } catch (const InputError&) {
    return "not found";
  }
}

}  // namespace

int device_count() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

std::vector<DeviceInfo> devices() {
  std::vector<DeviceInfo> all;
  for (int i = 0; i < device_count(); ++i) {
    cudaDeviceProp p{};
    check_cuda(cudaGetDeviceProperties(&p, i), "cudaGetDeviceProperties");
    all.push_back({p.name, p.major, p.minor, p.totalGlobalMem});
  }
  return all;
}

std::string versions() {
  int runtime = 0, driver = 0;
  cudaRuntimeGetVersion(&runtime);
  std::string text = "runtime " + cuda_version(runtime);
  if (device_count() == 0) return text + ", no device";  // cuBLASLt is not opened for a line of text
  cudaDriverGetVersion(&driver);
  return fmt::format("{}, driver {}, cuBLASLt {}", text, cuda_version(driver), cublaslt_version());
}

std::string describe() {
  int runtime = 0;
  cudaRuntimeGetVersion(&runtime);
  std::string text = "runtime " + cuda_version(runtime);
  const std::vector<DeviceInfo> all = devices();
  for (size_t i = 0; i < all.size(); ++i)
    text += fmt::format("; {}: {}, sm_{}{}, {:.1f} GB", i, all[i].name, all[i].major, all[i].minor,
                        static_cast<double>(all[i].memory_bytes) * 1e-9);
  return all.empty() ? text + ", no device" : text;
}

}  // namespace ft::cuda
