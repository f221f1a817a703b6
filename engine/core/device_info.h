// What is known of a machine's CUDA devices beside their memory: what they are, and what they are doing now.
// All of it is empty in programs without the backend.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/device.h"

namespace ft {

struct DeviceInfo {
  std::string name;
  int major = 0, minor = 0;  // of the compute capability
  size_t memory_bytes = 0;
};
/// In the order of their ordinals.
std::vector<DeviceInfo> cuda_devices();
/// "runtime 13.0"; where there is a device also the driver's version and cuBLASLt's.
std::string cuda_versions();

/// What NVIDIA's management library (NVML) says; what it does not know of a device is empty.
struct DeviceLoad {
  std::optional<int64_t> memory_bytes;  // in use, by all programs
  std::optional<int> utilization;       // percent of the last moment in which kernels ran
  std::optional<double> watts;
  std::optional<int> celsius;
};
/// Nothing for the CPU, and on machines without the library. Takes well under a millisecond.
std::optional<DeviceLoad> device_load(Device device);

namespace cuda {  // what kernels/cuda provides
std::vector<DeviceInfo> devices();
std::string versions();
std::optional<DeviceLoad> load(int device);
}  // namespace cuda

}  // namespace ft
