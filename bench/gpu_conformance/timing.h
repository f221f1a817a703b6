// Times of every kernel at sizes of a real layer (2048 tokens, 4096 features, 32 heads of 128), by CUDA
// events.
//
// A time is the median of launches that each start with a cold second-level cache: a buffer twice its size is
// cleared before each, outside of the events. That work also keeps the device busy while the host queues the
// launch, so a launch's latency is not in the time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/gpu_conformance/device.h"

namespace ft::bench {

struct Timing {
  std::string op, variant, sizes;  // as tests/cuda/kernel_shapes.h has them
  DType type{};
  double ms = 0, gb_per_second = 0, tflops = 0;  // of the work that the op cannot avoid
  std::optional<double> roofline_share;          // least time / time, where the device's limits are known
  std::string error;                             // why there is no time; else empty
};

/// `quick`: the small sizes of the shape table itself.
std::vector<Timing> time_kernels(const DeviceFacts& device, bool quick);

}  // namespace ft::bench
