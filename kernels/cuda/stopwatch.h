// Time that a device spends between two points of a stream, by its own events: the host's clock would add
// launches and waits. For benchmarks.
#pragma once

#include <memory>

#include "engine/core/backend_streams.h"

namespace ft {

class Stopwatch {
 public:
  explicit Stopwatch(const CudaStream& stream);
  /// Queues the first event.
  void start();
  /// Queues the second, waits for it; the time between them, with a resolution of about half a microsecond.
  double seconds();

 private:
  struct Events;
  std::shared_ptr<Events> events_;
};

}  // namespace ft
