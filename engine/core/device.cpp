#include "engine/core/device.h"

#include <cstring>

#include "engine/core/check.h"

namespace ft {
namespace {

// Calls host(), or cuda(ordinal) where the program has the backend and the device is one.
template <class Host, class Cuda>
decltype(auto) on(Device device, Host&& host, [[maybe_unused]] Cuda&& cuda) {
#ifdef FT_CUDA
  if (device.kind == DeviceKind::cuda) return cuda(device.index);
#endif
  FT_CHECK(device.kind == DeviceKind::cpu, "[device] this program has no CUDA backend");
  return host();
}

}  // namespace

void* device_allocate(Device device, size_t bytes, MemoryClass c) {
  return on(
      device, [&] { return allocate_host(bytes, c); }, [&](auto i) { return cuda::allocate(i, bytes, c); });
}
void device_free(Device device, void* p, size_t bytes, MemoryClass c) noexcept {
  on(
      device, [&] { free_host(p, bytes, c); }, [&](auto i) { cuda::release(i, p, bytes, c); });
}
void copy_to_host(Device from, void* host, const void* p, size_t bytes) {
  if (bytes == 0) return;
  on(
      from, [&] { std::memcpy(host, p, bytes); }, [&](auto i) { cuda::to_host(i, host, p, bytes); });
}
void copy_from_host(Device to, void* p, const void* host, size_t bytes) {
  if (bytes == 0) return;
  on(
      to, [&] { std::memcpy(p, host, bytes); }, [&](auto i) { cuda::from_host(i, p, host, bytes); });
}
void copy_within(Device device, void* to, const void* from, size_t bytes) {
  if (bytes == 0) return;
  on(
      device, [&] { std::memcpy(to, from, bytes); }, [&](auto i) { cuda::copy(i, to, from, bytes); });
}
void fill_zero(Device device, void* p, size_t bytes) {
  if (bytes == 0) return;
  on(
      device, [&] { std::memset(p, 0, bytes); }, [&](auto i) { cuda::zero(i, p, bytes); });
}

}  // namespace ft
