// What a device is doing, as NVML tells it. The library comes with the driver, not with the toolkit: it is
// opened at first use, never needed to build or to run, and never closed. The few declarations that we use
// are ours (NVML API reference, "Device Queries"); every call may fail on some device, and its fact is then
// absent.
#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <map>
#include <mutex>

#include "engine/core/device_info.h"

namespace ft::cuda {
namespace {

constexpr const char* kLibrary = "libnvidia-ml.so.1";
constexpr int kSuccess = 0;
constexpr unsigned kTemperatureOfTheChip = 0;

using NvmlDevice = void*;
struct NvmlMemory {
  unsigned long long total, free, used;
};
struct NvmlUtilization {
  unsigned gpu, memory;  // percent
};

struct Nvml {
  bool open = false;
  int (*init)() = nullptr;
  int (*device_by_bus)(const char* bus, NvmlDevice* device) = nullptr;
  int (*memory)(NvmlDevice device, NvmlMemory* memory) = nullptr;
  int (*utilization)(NvmlDevice device, NvmlUtilization* utilization) = nullptr;
  int (*milliwatts)(NvmlDevice device, unsigned* power) = nullptr;
  int (*celsius)(NvmlDevice device, unsigned sensor, unsigned* temperature) = nullptr;

  Nvml() {
    void* library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    const auto find = [&]<class F>(const char* name, F& f) { f = reinterpret_cast<F>(dlsym(library, name)); };
    find("nvmlInit_v2", init);
    find("nvmlDeviceGetHandleByPciBusId_v2", device_by_bus);
    find("nvmlDeviceGetMemoryInfo", memory);
    find("nvmlDeviceGetUtilizationRates", utilization);
    find("nvmlDeviceGetPowerUsage", milliwatts);
    find("nvmlDeviceGetTemperature", celsius);
    open = init && device_by_bus && init() == kSuccess;
  }
};

// CUDA's ordinals follow CUDA_VISIBLE_DEVICES, NVML's do not: they meet at the bus address. Null for a device
// that NVML does not know, as the simulator's.
NvmlDevice find_device(const Nvml& nvml, int ordinal) {
  char bus[32];
  NvmlDevice device = nullptr;
  if (cudaDeviceGetPCIBusId(bus, sizeof bus, ordinal) != cudaSuccess) return nullptr;
  return nvml.device_by_bus(bus, &device) == kSuccess ? device : nullptr;
}

}  // namespace

std::optional<DeviceLoad> load(int ordinal) {
  static const Nvml nvml;
  static std::mutex mutex;
  static std::map<int, NvmlDevice> devices;
  if (!nvml.open) return std::nullopt;
  const std::lock_guard lock(mutex);
  auto found = devices.find(ordinal);
  if (found == devices.end()) found = devices.emplace(ordinal, find_device(nvml, ordinal)).first;
  NvmlDevice device = found->second;
  if (!device) return std::nullopt;

  DeviceLoad load;
  if (NvmlMemory m{}; nvml.memory && nvml.memory(device, &m) == kSuccess)
    load.memory_bytes = static_cast<int64_t>(m.used);
  if (NvmlUtilization u{}; nvml.utilization && nvml.utilization(device, &u) == kSuccess)
    load.utilization = static_cast<int>(u.gpu);
  if (unsigned power = 0; nvml.milliwatts && nvml.milliwatts(device, &power) == kSuccess)
    load.watts = static_cast<double>(power) / 1000;
  if (unsigned t = 0; nvml.celsius && nvml.celsius(device, kTemperatureOfTheChip, &t) == kSuccess)
    load.celsius = static_cast<int>(t);
  return load;
}

}  // namespace ft::cuda
