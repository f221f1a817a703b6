#include "engine/core/device.h"

#include <cstring>

namespace ft {

void* device_allocate(Device, size_t bytes, MemoryClass c) {
  return allocate_host(bytes, c);
}
void device_free(Device, void* p, size_t bytes, MemoryClass c) noexcept {
  free_host(p, bytes, c);
}
void copy_to_host(Device, void* host, const void* p, size_t bytes) {
  if (bytes) std::memcpy(host, p, bytes);
}
void copy_from_host(Device, void* p, const void* host, size_t bytes) {
  if (bytes) std::memcpy(p, host, bytes);
}
void fill_zero(Device, void* p, size_t bytes) {
  if (bytes) std::memset(p, 0, bytes);
}

}  // namespace ft
