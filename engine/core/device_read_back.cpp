#include "engine/core/device_read_back.h"

#include <cstring>

#include "engine/core/check.h"

namespace ft {

void read_back(Device from, std::span<const HostCopy> copies) {
#ifdef FT_CUDA
  if (from.kind == DeviceKind::cuda) return cuda::read_back(from.index, copies);
#endif
  FT_CHECK(from.kind == DeviceKind::cpu, "[device] this program has no CUDA backend");
  for (const HostCopy& c : copies)
    if (c.bytes > 0) std::memcpy(c.host, c.p, c.bytes);
}

}  // namespace ft
