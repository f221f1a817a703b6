#include "engine/core/stream_recording.h"

namespace ft {

std::optional<Recording> Recording::of([[maybe_unused]] Stream& stream,
                                       [[maybe_unused]] const std::function<void()>& f) {
#ifdef FT_CUDA
  if (stream.device().kind == DeviceKind::cuda && recordings_allowed()) {
    Recording r;
    r.device_ = stream.device().index;
    cuda::begin_recording(r.device_);
    bool whole = true;
    try {
      f();
    } catch (const std::exception&) {  // where it is not the recording's fault, running f shows it again
      whole = false;
    }
    r.graph_ = cuda::end_recording(r.device_);
    if (whole && r.graph_) return r;
  }
#endif
  return std::nullopt;
}

void Recording::run() const {
#ifdef FT_CUDA
  cuda::run_recording(device_, graph_);
#endif
}

}  // namespace ft
