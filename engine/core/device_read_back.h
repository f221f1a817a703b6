// Results that the host wants from a stream: several at a time, so that it waits once.
#pragma once

#include <cstddef>
#include <span>

#include "engine/core/device.h"

namespace ft {

struct HostCopy {
  void* host = nullptr;
  const void* p = nullptr;  // device memory
  size_t bytes = 0;
};

/// Copies what everything queued so far has left at each `p`. On a device: one wait for all of them.
void read_back(Device from, std::span<const HostCopy> copies);

namespace cuda {
void read_back(int device, std::span<const HostCopy> copies);
}  // namespace cuda

}  // namespace ft
