// A libnvidia-ml.so.1 with one device: the simulator's. It has no power gauge where FAKE_NVML_NO_POWER is
// set.
#include <cstdlib>
#include <cstring>

namespace {
constexpr int kSuccess = 0, kInvalidArgument = 2, kNotSupported = 3, kNotFound = 6;
int device;
bool initialised;
}  // namespace

extern "C" {
int nvmlInit_v2() {
  initialised = true;
  return kSuccess;
}
int nvmlDeviceGetHandleByPciBusId_v2(const char* bus, void** handle) {
  if (!initialised || std::strcmp(bus, "ffff:ff:1f.7") != 0) return kNotFound;
  *handle = &device;
  return kSuccess;
}
int nvmlDeviceGetMemoryInfo(void* handle, unsigned long long* total_free_used) {
  if (handle != &device) return kInvalidArgument;
  total_free_used[0] = 80'000'000'000;
  total_free_used[1] = 67'500'000'000;
  total_free_used[2] = 12'500'000'000;
  return kSuccess;
}
int nvmlDeviceGetUtilizationRates(void* handle, unsigned* gpu_memory) {
  if (handle != &device) return kInvalidArgument;
  gpu_memory[0] = 87;
  gpu_memory[1] = 40;
  return kSuccess;
}
int nvmlDeviceGetPowerUsage(void* handle, unsigned* milliwatts) {
  if (handle != &device) return kInvalidArgument;
  if (std::getenv("FAKE_NVML_NO_POWER")) return kNotSupported;
  *milliwatts = 250500;
  return kSuccess;
}
int nvmlDeviceGetTemperature(void* handle, unsigned sensor, unsigned* celsius) {
  if (handle != &device || sensor != 0) return kInvalidArgument;
  *celsius = 61;
  return kSuccess;
}
}  // extern "C"
