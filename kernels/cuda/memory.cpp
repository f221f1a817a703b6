// Device memory from CUDA's stream-ordered pool: a block that is freed may be handed out again at once, since
// whatever still reads it was queued before. The pool keeps what it has (cudaMalloc costs a synchronisation).
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <cstring>

#include "engine/core/device.h"
#include "engine/core/device_read_back.h"
#include "engine/core/stream_recording.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/staging.h"

namespace ft::cuda {
namespace {

size_t rounded_up(size_t bytes) {
  return (bytes + 255) / 256 * 256;
}

}  // namespace

void* allocate(int device, size_t bytes, MemoryClass c) {
  const CudaStream stream(device);
  const size_t size = rounded_up(bytes ? bytes : 1);
  void* p = nullptr;
  const cudaError_t status = cudaMallocAsync(&p, size, stream.handle());
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    fail(
        "[memory] the device has no room for {} more bytes of {}; a smaller per_device_train_batch_size or "
        "gradient_checkpointing: true needs less",
        bytes, memory_class_name(c));
  }
  check_cuda(status, "cudaMallocAsync");
  count_allocated(c, size);
  return p;
}

void release(int device, void* p, size_t bytes, MemoryClass c) noexcept {
  if (!p) return;
  count_freed(c, rounded_up(bytes ? bytes : 1));
  cudaFreeAsync(p, CudaStream(device).handle());
}

void to_host(int device, void* host, const void* p, size_t bytes) {
  const CudaStream stream(device);
  check_cuda(cudaMemcpyAsync(host, p, bytes, cudaMemcpyDeviceToHost, stream.handle()), "copy to the host");
  check_cuda(cudaStreamSynchronize(stream.handle()), "copy to the host");
}

void from_host(int device, void* p, const void* host, size_t bytes) {
  const CudaStream stream(device);
  FT_CHECK(!is_recording(device), "[cuda] a recording cannot hold a copy of {} bytes from the host", bytes);
  // Through pinned memory the host need not wait. What is larger (weights) comes from pageable memory: the
  // call returns once the bytes are read.
  const void* from = host;
  if (bytes <= Staging::kSegmentBytes) {
    void* staged = Staging::of(stream).take(bytes);
    std::memcpy(staged, host, bytes);
    from = staged;
  }
  check_cuda(cudaMemcpyAsync(p, from, bytes, cudaMemcpyHostToDevice, stream.handle()), "copy to the device");
}

void read_back(int device, std::span<const HostCopy> copies) {
  const CudaStream stream(device);
  size_t bytes = 0;
  for (const HostCopy& c : copies) bytes += (c.bytes + 63) / 64 * 64;
  if (bytes == 0) return;
  if (bytes > Staging::kSegmentBytes) {
    for (const HostCopy& c : copies)
      if (c.bytes > 0) to_host(device, c.host, c.p, c.bytes);
    return;
  }
  auto* staged = static_cast<std::byte*>(Staging::of(stream).take(bytes));
  std::byte* at = staged;
  for (const HostCopy& c : copies) {
    if (c.bytes > 0)
      check_cuda(cudaMemcpyAsync(at, c.p, c.bytes, cudaMemcpyDeviceToHost, stream.handle()),
                 "copy to the host");
    at += (c.bytes + 63) / 64 * 64;
  }
  check_cuda(cudaStreamSynchronize(stream.handle()), "copy to the host");
  at = staged;
  for (const HostCopy& c : copies) {
    std::memcpy(c.host, at, c.bytes);
    at += (c.bytes + 63) / 64 * 64;
  }
}

void copy(int device, void* to, const void* from, size_t bytes) {
  const CudaStream stream(device);
  check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream.handle()), "copy");
}

void zero(int device, void* p, size_t bytes) {
  check_cuda(cudaMemsetAsync(p, 0, bytes, CudaStream(device).handle()), "clear");
}

}  // namespace ft::cuda
