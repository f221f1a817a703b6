// A stretch of a stream's work, recorded once and queued again as a whole (a CUDA graph): one call instead of
// one for every kernel.
//
// What is recorded repeats exactly: the same kernels, the same arguments, the same addresses. So whatever
// changes from one time to the next must stand in memory that the kernels read, and everything that was
// allocated before the recording and is read or written by it must outlive it. Memory that is allocated while
// recording must be freed while recording.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "engine/core/stream.h"

namespace ft {

/// Tests compare with work that is never recorded: false makes Recording::of() give nothing.
inline bool& recordings_allowed() {
  static bool allowed = true;
  return allowed;
}

class Recording {
 public:
  /// What f queues, recorded and not run. Nothing on a stream that cannot record (the CPU), or where f waited
  /// for the device, copied from the host or needed more scratch memory than there is: as if f had not been
  /// called.
  static std::optional<Recording> of(Stream& stream, const std::function<void()>& f);
  void run() const;

 private:
  int device_ = 0;
  std::shared_ptr<void> graph_;
};

/// What kernels/cuda provides. Between begin and end the device's stream records; end gives null where
/// something broke it.
namespace cuda {
void begin_recording(int device);
std::shared_ptr<void> end_recording(int device);
bool is_recording(int device);
void run_recording(int device, const std::shared_ptr<void>& recording);
}  // namespace cuda

}  // namespace ft
