#include "engine/core/device_info.h"

namespace ft {

std::vector<DeviceInfo> cuda_devices() {
#ifdef FT_CUDA
  return cuda::devices();
#else
  return {};
#endif
}

std::string cuda_versions() {
#ifdef FT_CUDA
  return cuda::versions();
#else
  return "not compiled in";
#endif
}

std::optional<DeviceLoad> device_load([[maybe_unused]] Device device) {
#ifdef FT_CUDA
  if (device.kind == DeviceKind::cuda) return cuda::load(device.index);
#endif
  return std::nullopt;
}

}  // namespace ft
