// The device that cuda-sim says to be: one, with the limits of launch.h.
#include <cstring>
#include <string_view>

#include "kernels/sim/launch.h"
#include "kernels/sim/runtime.h"
#include "kernels/sim/stream_queue.h"

using L = ft::sim::DeviceLimits;

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  return device == 0 ? cudaSuccess : ft::sim::set_error(cudaErrorInvalidDevice);
}
cudaError_t cudaDeviceReset() {
  return cudaSuccess;
}
cudaError_t cudaSetDeviceFlags(unsigned int) {
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
  if (device != 0) return ft::sim::set_error(cudaErrorInvalidDevice);
  *p = {};
  std::strcpy(p->name, "cuda-sim");
  p->totalGlobalMem = ft::sim::device_memory;
  p->sharedMemPerBlock = L::default_shared;
  p->sharedMemPerBlockOptin = L::opt_in_shared;
  p->sharedMemPerMultiprocessor = L::multiprocessor_shared;
  p->reservedSharedMemPerBlock = 1024;
  p->regsPerBlock = p->regsPerMultiprocessor = L::registers;
  p->warpSize = 32;
  p->maxThreadsPerBlock = L::threads_per_block;
  p->maxThreadsPerMultiProcessor = L::warps_per_multiprocessor * 32;
  p->maxBlocksPerMultiProcessor = L::blocks_per_multiprocessor;
  p->maxThreadsDim[0] = p->maxThreadsDim[1] = L::threads_per_block;
  p->maxThreadsDim[2] = L::block_z;
  p->maxGridSize[0] = L::grid_x;
  p->maxGridSize[1] = p->maxGridSize[2] = L::grid_yz;
  p->totalConstMem = 64 * 1024;
  p->major = 8;
  p->minor = 0;
  p->multiProcessorCount = L::multiprocessors;
  p->l2CacheSize = 40 << 20;
  p->memPitch = 0x7fffffff;
  p->textureAlignment = 512;
  p->unifiedAddressing = 1;
  p->canMapHostMemory = 1;
  p->concurrentKernels = 1;
  p->asyncEngineCount = 2;
  p->memoryPoolsSupported = 1;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char* bus, int bytes, int device) {
  constexpr std::string_view kNoBus = "ffff:ff:1f.7";  // no machine's device has it
  if (device != 0 || !bus || bytes <= static_cast<int>(kNoBus.size()))
    return ft::sim::set_error(cudaErrorInvalidValue);
  std::strcpy(bus, kNoBus.data());
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  if (device != 0) return ft::sim::set_error(cudaErrorInvalidDevice);
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
    case cudaDevAttrMaxBlockDimX:
    case cudaDevAttrMaxBlockDimY:
      *value = L::threads_per_block;
      break;
    case cudaDevAttrMaxBlockDimZ:
      *value = L::block_z;
      break;
    case cudaDevAttrMaxGridDimX:
      *value = L::grid_x;
      break;
    case cudaDevAttrMaxGridDimY:
    case cudaDevAttrMaxGridDimZ:
      *value = L::grid_yz;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = L::default_shared;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = L::opt_in_shared;
      break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = L::multiprocessor_shared;
      break;
    case cudaDevAttrReservedSharedMemoryPerBlock:
      *value = 1024;
      break;
    case cudaDevAttrTotalConstantMemory:
      *value = 64 * 1024;
      break;
    case cudaDevAttrWarpSize:
      *value = 32;
      break;
    case cudaDevAttrMaxRegistersPerBlock:
    case cudaDevAttrMaxRegistersPerMultiprocessor:
      *value = L::registers;
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = L::multiprocessors;
      break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = L::warps_per_multiprocessor * 32;
      break;
    case cudaDevAttrMaxBlocksPerMultiprocessor:
      *value = L::blocks_per_multiprocessor;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 8;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      break;
    case cudaDevAttrL2CacheSize:
      *value = 40 << 20;
      break;
    case cudaDevAttrClockRate:
      *value = 1410000;
      break;
    case cudaDevAttrMemoryClockRate:
      *value = 1215000;
      break;
    case cudaDevAttrGlobalMemoryBusWidth:
      *value = 5120;
      break;
    case cudaDevAttrUnifiedAddressing:
    case cudaDevAttrConcurrentKernels:
    case cudaDevAttrMemoryPoolsSupported:
    case cudaDevAttrCanMapHostMemory:
      *value = 1;
      break;
    case cudaDevAttrCooperativeLaunch:
    case cudaDevAttrManagedMemory:
    case cudaDevAttrConcurrentManagedAccess:
    case cudaDevAttrPageableMemoryAccess:
    case cudaDevAttrIntegrated:
      *value = 0;
      break;
    default:
      return ft::sim::set_error(cudaErrorInvalidValue, "cuda-sim does not know this device attribute");
  }
  return cudaSuccess;
}

}  // extern "C"
