// Which memory a tensor lives in: the host's, or that of a CUDA device (or of its simulator). Copies between
// them wait for the device; copies within one are queued like its kernels.
#pragma once

#include <cstddef>
#include <string>

#include "engine/core/memory.h"

namespace ft {

enum class DeviceKind : uint8_t { cpu, cuda };

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;
  friend bool operator==(const Device&, const Device&) = default;
};

/// 64-byte (CUDA: 256-byte) aligned memory of the device, not initialised.
void* device_allocate(Device device, size_t bytes, MemoryClass c);
void device_free(Device device, void* p, size_t bytes, MemoryClass c) noexcept;
/// Synchronous copies between host and device memory, and clearing.
void copy_to_host(Device from, void* host, const void* p, size_t bytes);
void copy_from_host(Device to, void* p, const void* host, size_t bytes);
void copy_within(Device device, void* to, const void* from, size_t bytes);
void fill_zero(Device device, void* p, size_t bytes);

/// What kernels/cuda provides; programs without that backend have the declarations only. `device` is CUDA's
/// ordinal. Memory is reused in the order of the device's one stream.
namespace cuda {
int device_count();
std::string describe();  // of runtime and devices, one line
void* allocate(int device, size_t bytes, MemoryClass c);
void release(int device, void* p, size_t bytes, MemoryClass c) noexcept;
void to_host(int device, void* host, const void* p, size_t bytes);
void from_host(int device, void* p, const void* host, size_t bytes);
void copy(int device, void* to, const void* from, size_t bytes);
void zero(int device, void* p, size_t bytes);
}  // namespace cuda

}  // namespace ft
