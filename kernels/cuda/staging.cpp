#include "kernels/cuda/staging.h"

#include <cuda_runtime_api.h>

#include <map>
#include <mutex>

#include "kernels/cuda/launch.h"

namespace ft {

Staging& Staging::of(const CudaStream& stream) {
  static std::mutex mutex;
  static auto* all = new std::map<int, Staging*>;  // outlives every static tensor
  const std::lock_guard lock(mutex);
  Staging*& s = (*all)[stream.device().index];
  if (!s) s = new Staging(stream);
  return *s;
}

Staging::Staging(const CudaStream& stream) : stream_(stream) {
  check_cuda(cudaMallocHost(reinterpret_cast<void**>(&base_), kSegments * kSegmentBytes), "cudaMallocHost");
}

void* Staging::take(size_t bytes) {
  const size_t size = (bytes + 63) / 64 * 64;
  FT_CHECK(size <= kSegmentBytes, "[staging] expected at most {} bytes, got {}", kSegmentBytes, bytes);
  if (used_ + size > kSegmentBytes) {
    const auto event_of = [&](size_t i) { return static_cast<cudaEvent_t>(left_[i]); };
    if (!left_[segment_]) {
      cudaEvent_t made = nullptr;
      check_cuda(cudaEventCreateWithFlags(&made, cudaEventDisableTiming), "cudaEventCreate");
      left_[segment_] = made;
    }
    check_cuda(cudaEventRecord(event_of(segment_), stream_.handle()), "cudaEventRecord");
    segment_ = (segment_ + 1) % kSegments;
    used_ = 0;
    if (left_[segment_] && cudaEventQuery(event_of(segment_)) == cudaErrorNotReady) {
      cudaGetLastError();
      check_cuda(cudaEventSynchronize(event_of(segment_)), "cudaEventSynchronize");
    }
  }
  std::byte* p = base_ + segment_ * kSegmentBytes + used_;
  used_ += size;
  return p;
}

}  // namespace ft
