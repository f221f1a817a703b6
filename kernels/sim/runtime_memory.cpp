// Memory calls of the CUDA runtime. Copies are checked against the allocation table on their device side.
#include <cstring>

#include "engine/core/check.h"
#include "kernels/sim/memory_shadow.h"
#include "kernels/sim/memory_table.h"
#include "kernels/sim/registry.h"
#include "kernels/sim/runtime.h"
#include "kernels/sim/stream_queue.h"

namespace ft::sim {
namespace {

// Throws unless [p, p + bytes) lies in one live allocation.
void check_device(const void* p, size_t bytes, const char* call, const char* side) {
  if (bytes == 0) return;
  const auto table = MemoryTable::get().snapshot();
  const auto at = reinterpret_cast<uint64_t>(p);
  const Allocation* hit = table->find(at);
  FT_CHECK(hit != nullptr, "{}: the {} {:#x} is not device memory: {}", call, side, at, table->nearest(at));
  FT_CHECK(bytes <= hit->end() - at, "{}: {} bytes at the {}, of which {} lie in its allocation of {} bytes",
           call, bytes, side, hit->end() - at, hit->size);
}

void copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, const char* call) {
  if (bytes == 0) return;
  if (kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice)
    check_device(to, bytes, call, "destination");
  if (kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice)
    check_device(from, bytes, call, "source");
  std::memmove(to, from, bytes);
  mark_copied(to, from, bytes);
}

bool is_pinned(const void* p) {
  const auto table = MemoryTable::get().snapshot();
  const Allocation* hit = table->find(reinterpret_cast<uint64_t>(p));
  return hit != nullptr && hit->kind == MemoryKind::pinned;
}

cudaError_t copy_guarded(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, const char* call) {
  if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault)
    return set_error(cudaErrorInvalidMemcpyDirection);
  try {
    copy(to, from, bytes, kind, call);
    return cudaSuccess;
  } catch (const Error& e) {
    return set_error(cudaErrorInvalidValue, e.what());
  }
}

cudaError_t fill(void* p, int value, size_t bytes, const char* call) {
  try {
    check_device(p, bytes, call, "destination");
    if (bytes > 0) std::memset(p, value, bytes);
    mark_written(p, bytes);
    return cudaSuccess;
  } catch (const Error& e) {
    return set_error(cudaErrorInvalidValue, e.what());
  }
}

cudaError_t allocate(void** p, size_t bytes, MemoryKind kind) {
  if (p == nullptr) return set_error(cudaErrorInvalidValue);
  *p = nullptr;
  if (bytes == 0) return cudaSuccess;
  if (kind == MemoryKind::device &&
      bytes > device_memory - std::min(device_memory, MemoryTable::get().used_bytes())) {
    return set_error(cudaErrorMemoryAllocation);
  }
  *p = MemoryTable::get().allocate(bytes, kind);
  return *p == nullptr ? set_error(cudaErrorMemoryAllocation) : cudaSuccess;
}

cudaError_t release(void* p, MemoryKind kind) {
  if (p == nullptr || MemoryTable::get().release(p, kind)) return cudaSuccess;
  return set_error(
      cudaErrorInvalidValue,
      fmt::format("cudaFree: {:#x} is not the start of a live allocation: {}", reinterpret_cast<uint64_t>(p),
                  MemoryTable::get().snapshot()->nearest(reinterpret_cast<uint64_t>(p))));
}

// Address of count bytes at an offset of a variable; null with the error set.
char* symbol_bytes(const void* symbol, size_t count, size_t offset) {
  void* address = nullptr;
  size_t bytes = 0;
  try {
    if (!find_symbol(symbol, &address, &bytes)) {
      set_error(cudaErrorInvalidSymbol);
      return nullptr;
    }
  } catch (const Error& e) {
    set_error(cudaErrorInvalidPtx, e.what());
    return nullptr;
  }
  if (offset > bytes || count > bytes - offset) {
    set_error(cudaErrorInvalidValue,
              fmt::format("{} bytes at offset {} of a variable of {}", count, offset, bytes));
    return nullptr;
  }
  return static_cast<char*>(address) + offset;
}

}  // namespace
}  // namespace ft::sim

using ft::sim::enqueue;
using ft::sim::may_wait;
using ft::sim::MemoryKind;

extern "C" {

cudaError_t cudaMalloc(void** p, size_t bytes) {
  if (!may_wait("cudaMalloc")) return cudaErrorStreamCaptureUnsupported;
  return ft::sim::allocate(p, bytes, MemoryKind::device);
}
cudaError_t cudaFree(void* p) {
  if (!may_wait("cudaFree")) return cudaErrorStreamCaptureUnsupported;
  return ft::sim::release(p, MemoryKind::device);
}
cudaError_t cudaMallocAsync(void** p, size_t bytes, cudaStream_t stream) {
  if (ft::sim::is_capturing(stream)) return ft::sim::allocate_in_capture(stream, p, bytes);
  return ft::sim::allocate(p, bytes, MemoryKind::device);
}
cudaError_t cudaFreeAsync(void* p, cudaStream_t stream) {
  if (ft::sim::is_capturing(stream)) return ft::sim::free_in_capture(stream, p);
  return ft::sim::release(p, MemoryKind::device);
}
cudaError_t cudaMallocHost(void** p, size_t bytes) {
  if (!may_wait("cudaMallocHost")) return cudaErrorStreamCaptureUnsupported;
  return ft::sim::allocate(p, bytes, MemoryKind::pinned);
}
cudaError_t cudaHostAlloc(void** p, size_t bytes, unsigned int) {
  return cudaMallocHost(p, bytes);
}
cudaError_t cudaFreeHost(void* p) {
  if (!may_wait("cudaFreeHost")) return cudaErrorStreamCaptureUnsupported;
  return ft::sim::release(p, MemoryKind::pinned);
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  if (!may_wait("cudaMemcpy")) return cudaErrorStreamCaptureUnsupported;
  return ft::sim::copy_guarded(to, from, bytes, kind, "cudaMemcpy");
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if ((kind == cudaMemcpyHostToDevice && !ft::sim::is_pinned(from)) ||
      (kind == cudaMemcpyDeviceToHost && !ft::sim::is_pinned(to))) {
    if (!may_wait("cudaMemcpyAsync of pageable memory")) return cudaErrorStreamCaptureUnsupported;
  }
  return enqueue(stream, [=] { return ft::sim::copy_guarded(to, from, bytes, kind, "cudaMemcpyAsync"); });
}
cudaError_t cudaMemcpy2D(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                         size_t height, cudaMemcpyKind kind) {
  if (width > to_pitch || width > from_pitch) return ft::sim::set_error(cudaErrorInvalidValue);
  for (size_t row = 0; row < height; ++row) {
    const cudaError_t error =
        ft::sim::copy_guarded(static_cast<char*>(to) + row * to_pitch,
                              static_cast<const char*>(from) + row * from_pitch, width, kind, "cudaMemcpy2D");
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}
cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                              size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  return enqueue(stream, [=] { return cudaMemcpy2D(to, to_pitch, from, from_pitch, width, height, kind); });
}
cudaError_t cudaMemset(void* p, int value, size_t bytes) {
  return ft::sim::fill(p, value, bytes, "cudaMemset");
}
cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t stream) {
  return enqueue(stream, [=] { return ft::sim::fill(p, value, bytes, "cudaMemsetAsync"); });
}

cudaError_t cudaMemcpyToSymbol(const void* symbol, const void* from, size_t count, size_t offset,
                               cudaMemcpyKind) {
  char* to = ft::sim::symbol_bytes(symbol, count, offset);
  if (to == nullptr) return cudaPeekAtLastError();
  std::memcpy(to, from, count);
  return cudaSuccess;
}
cudaError_t cudaMemcpyToSymbolAsync(const void* symbol, const void* from, size_t count, size_t offset,
                                    cudaMemcpyKind kind, cudaStream_t stream) {
  return enqueue(stream, [=] { return cudaMemcpyToSymbol(symbol, from, count, offset, kind); });
}
cudaError_t cudaMemcpyFromSymbol(void* to, const void* symbol, size_t count, size_t offset, cudaMemcpyKind) {
  const char* from = ft::sim::symbol_bytes(symbol, count, offset);
  if (from == nullptr) return cudaPeekAtLastError();
  std::memcpy(to, from, count);
  return cudaSuccess;
}
cudaError_t cudaGetSymbolAddress(void** address, const void* symbol) {
  *address = ft::sim::symbol_bytes(symbol, 0, 0);
  return *address == nullptr ? cudaPeekAtLastError() : cudaSuccess;
}
cudaError_t cudaGetSymbolSize(size_t* bytes, const void* symbol) {
  void* address = nullptr;
  return ft::sim::guarded(
      [&] { return ft::sim::find_symbol(symbol, &address, bytes) ? cudaSuccess : cudaErrorInvalidSymbol; });
}

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total) {
  *total = ft::sim::device_memory;
  *free_bytes = *total - std::min(*total, ft::sim::MemoryTable::get().used_bytes());
  return cudaSuccess;
}

// The one memory pool: memory comes from the host's allocator, so its attributes change nothing.
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  static char only;
  if (device != 0) return ft::sim::set_error(cudaErrorInvalidDevice);
  *pool = reinterpret_cast<cudaMemPool_t>(&only);
  return cudaSuccess;
}
cudaError_t cudaDeviceGetMemPool(cudaMemPool_t* pool, int device) {
  return cudaDeviceGetDefaultMemPool(pool, device);
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) {
  return cudaSuccess;
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, size_t) {
  return cudaSuccess;
}
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t, cudaMemPoolAttr attribute, void* value) {
  const auto& table = ft::sim::MemoryTable::get();
  switch (attribute) {
    case cudaMemPoolAttrUsedMemCurrent:
    case cudaMemPoolAttrReservedMemCurrent:
      *static_cast<uint64_t*>(value) = table.used_bytes();
      return cudaSuccess;
    case cudaMemPoolAttrUsedMemHigh:
    case cudaMemPoolAttrReservedMemHigh:
      *static_cast<uint64_t*>(value) = table.peak_bytes();
      return cudaSuccess;
    default:
      return ft::sim::set_error(cudaErrorInvalidValue);
  }
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* p) {
  const auto table = ft::sim::MemoryTable::get().snapshot();
  const ft::sim::Allocation* hit = table->find(reinterpret_cast<uint64_t>(p));
  *attributes = {};
  attributes->type = hit == nullptr                    ? cudaMemoryTypeUnregistered
                     : hit->kind == MemoryKind::pinned ? cudaMemoryTypeHost
                                                       : cudaMemoryTypeDevice;
  attributes->hostPointer = attributes->type == cudaMemoryTypeDevice ? nullptr : const_cast<void*>(p);
  attributes->devicePointer = hit == nullptr ? nullptr : const_cast<void*>(p);
  return cudaSuccess;
}

}  // extern "C"
