// Pinned host memory through which small copies travel, so that they run beside the host: a copy from
// ordinary memory would make it wait.
//
// A ring of segments. A piece is good until the ring comes round to its segment again, and then the host
// waits for what the device had still queued when it left the segment (which has long run, unless the host is
// a whole ring ahead). One thread a device.
#pragma once

#include <cstddef>

#include "engine/core/backend_streams.h"

namespace ft {

class Staging {
 public:
  static constexpr size_t kSegments = 4, kSegmentBytes = size_t{2} << 20;

  /// The ring of this stream's device.
  static Staging& of(const CudaStream& stream);
  /// At most kSegmentBytes, 64-byte aligned.
  void* take(size_t bytes);

 private:
  explicit Staging(const CudaStream& stream);
  CudaStream stream_;
  std::byte* base_ = nullptr;
  void* left_[kSegments] = {};  // events: recorded when the ring left the segment
  size_t segment_ = 0, used_ = 0;
};

}  // namespace ft
