// Bounds, ids, targets, positions: small int32 arrays that the host makes and kernels read.
#pragma once

#include <cstdint>

namespace ft {

/// The host's array and, where a device runs the pass, its copy there. Kernels of the CPU read it like a
/// pointer; launchers of a device hand `device` to the kernel and may look at the host's values to shape the
/// grid.
struct IndexView {
  const int32_t* host = nullptr;
  const int32_t* device = nullptr;  // null on the CPU

  IndexView() = default;
  IndexView(const int32_t* on_host, const int32_t* on_device = nullptr) : host(on_host), device(on_device) {}
  operator const int32_t*() const { return host; }
  IndexView from(int64_t begin) const {
    return {host ? host + begin : nullptr, device ? device + begin : nullptr};
  }
  IndexView& operator+=(int64_t n) { return *this = from(n); }
};

}  // namespace ft
