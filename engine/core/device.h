// Which memory a tensor lives in. The CPU is the only device of this build; a CUDA build adds its kind here,
// its allocator in device.cpp and its stream in stream.h.
#pragma once

#include <cstddef>
#include <string>

#include "engine/core/memory.h"

namespace ft {

enum class DeviceKind : uint8_t { cpu };

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;
  friend bool operator==(const Device&, const Device&) = default;
};

/// 64-byte aligned memory of the device, not initialised.
void* device_allocate(Device device, size_t bytes, MemoryClass c);
void device_free(Device device, void* p, size_t bytes, MemoryClass c) noexcept;
/// Synchronous copies between host and device memory, and clearing.
void copy_to_host(Device from, void* host, const void* p, size_t bytes);
void copy_from_host(Device to, void* p, const void* host, size_t bytes);
void fill_zero(Device device, void* p, size_t bytes);

}  // namespace ft
