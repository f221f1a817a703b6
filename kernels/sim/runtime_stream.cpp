// Streams, events, graphs.
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "kernels/sim/memory_shadow.h"
#include "kernels/sim/memory_table.h"
#include "kernels/sim/runtime.h"
#include "kernels/sim/sim.h"
#include "kernels/sim/stream_queue.h"

namespace ft::sim {
namespace {

using Work = std::vector<std::function<cudaError_t()>>;

/// What a capture recorded, shared by the graph and what is instantiated of it.
struct Recording {
  Work work;
  std::map<void*, size_t> memory;  // the graph's allocations
  std::set<void*> unfreed;
  Recording() = default;
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;
  ~Recording() {
    for (const auto& [p, bytes] : memory) MemoryTable::get().release(p, MemoryKind::device);
  }
};

}  // namespace
}  // namespace ft::sim

// The runtime's handles are pointers to these.
struct CUstream_st {
  std::shared_ptr<ft::sim::Recording> capture;  // null while the stream does not capture
  bool broken = false;
};
struct CUevent_st {
  bool recorded = false;
  std::chrono::steady_clock::time_point at;
};
struct CUgraph_st {
  std::shared_ptr<ft::sim::Recording> recording;
};
struct CUgraphExec_st {
  std::shared_ptr<ft::sim::Recording> recording;
  bool launched = false;
};

namespace ft::sim {
namespace {

std::mutex capturing_mutex;
std::set<cudaStream_t> capturing;
std::atomic<uint64_t> launched_graphs{0};

}  // namespace

uint64_t graph_launches() {
  return launched_graphs;
}

bool any_capturing() {
  const std::lock_guard lock(capturing_mutex);
  return !capturing.empty();
}

void break_captures() {
  const std::lock_guard lock(capturing_mutex);
  for (cudaStream_t stream : capturing) stream->broken = true;
}

cudaError_t enqueue(cudaStream_t stream, std::function<cudaError_t()> work) {
  if (!is_capturing(stream)) return work();
  stream->capture->work.push_back(std::move(work));
  return cudaSuccess;
}

cudaError_t allocate_in_capture(cudaStream_t stream, void** p, size_t bytes) {
  *p = MemoryTable::get().allocate(bytes, MemoryKind::device);
  if (*p == nullptr) return set_error(cudaErrorMemoryAllocation);
  Recording& r = *stream->capture;
  r.memory[*p] = bytes;
  r.unfreed.insert(*p);
  r.work.emplace_back([p = *p, bytes] {
    mark_fresh(p, bytes);
    return cudaSuccess;
  });
  return cudaSuccess;
}

// Only what the capture itself allocated: the rest is not the graph's to free at every launch.
cudaError_t free_in_capture(cudaStream_t stream, void* p) {
  if (p == nullptr) return cudaSuccess;
  Recording& r = *stream->capture;
  if (r.unfreed.erase(p) == 0) {
    stream->broken = true;
    return set_error(cudaErrorInvalidValue,
                     "cudaFreeAsync in a capture: memory that the capture did not allocate");
  }
  r.work.emplace_back([p, bytes = r.memory.at(p)] {
    mark_fresh(p, bytes);
    return cudaSuccess;
  });
  return cudaSuccess;
}

// The default streams are small numbers, not pointers.
bool is_capturing(cudaStream_t stream) {
  return reinterpret_cast<uintptr_t>(stream) > 2 && stream->capture != nullptr;
}

}  // namespace ft::sim

using ft::sim::may_wait;
using ft::sim::set_error;

extern "C" {

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  *stream = new CUstream_st;
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int) {
  return cudaStreamCreate(stream);
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned int, int) {
  return cudaStreamCreate(stream);
}
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = *greatest = 0;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (reinterpret_cast<uintptr_t>(stream) <= 2) return set_error(cudaErrorInvalidResourceHandle);
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) {
  if (!may_wait("cudaStreamSynchronize")) return cudaErrorStreamCaptureUnsupported;
  return cudaPeekAtLastError();
}
cudaError_t cudaStreamQuery(cudaStream_t) {
  return cudaPeekAtLastError();
}
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned int) {
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  if (!may_wait("cudaDeviceSynchronize")) return cudaErrorStreamCaptureUnsupported;
  return cudaPeekAtLastError();
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t f, void* data) {
  return ft::sim::enqueue(stream, [=] {
    f(data);
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int) {
  return cudaEventCreate(event);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (event == nullptr) return set_error(cudaErrorInvalidResourceHandle);
  return ft::sim::enqueue(stream, [=] {
    event->recorded = true;
    event->at = std::chrono::steady_clock::now();
    return cudaSuccess;
  });
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned int) {
  return cudaEventRecord(event, stream);
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (!may_wait("cudaEventSynchronize")) return cudaErrorStreamCaptureUnsupported;
  return event == nullptr ? set_error(cudaErrorInvalidResourceHandle) : cudaPeekAtLastError();
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  return event == nullptr ? set_error(cudaErrorInvalidResourceHandle) : cudaPeekAtLastError();
}
// Host time: the simulator has no other clock.
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  if (start == nullptr || end == nullptr || !start->recorded || !end->recorded)
    return set_error(cudaErrorInvalidResourceHandle);
  *milliseconds = std::chrono::duration<float, std::milli>(end->at - start->at).count();
  return cudaSuccess;
}

// Graphs: what was submitted between begin and end of a capture, replayed in that order.
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (reinterpret_cast<uintptr_t>(stream) <= 2 || ft::sim::is_capturing(stream))
    return set_error(cudaErrorStreamCaptureUnsupported);
  stream->capture = std::make_shared<ft::sim::Recording>();
  stream->broken = false;
  const std::lock_guard lock(ft::sim::capturing_mutex);
  ft::sim::capturing.insert(stream);
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (!ft::sim::is_capturing(stream)) return set_error(cudaErrorStreamCaptureUnsupported);
  {
    const std::lock_guard lock(ft::sim::capturing_mutex);
    ft::sim::capturing.erase(stream);
  }
  const std::shared_ptr<ft::sim::Recording> recording = std::move(stream->capture);
  stream->capture = nullptr;
  *graph = nullptr;
  if (stream->broken) return set_error(cudaErrorStreamCaptureInvalidated);
  *graph = new CUgraph_st{recording};
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status = !ft::sim::is_capturing(stream) ? cudaStreamCaptureStatusNone
            : stream->broken               ? cudaStreamCaptureStatusInvalidated
                                           : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new CUgraphExec_st{graph->recording};
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  return ft::sim::enqueue(stream, [exec] {
    if (exec->launched && !exec->recording->unfreed.empty())
      return set_error(cudaErrorInvalidValue, "cudaGraphLaunch: the last launch's memory has not been freed");
    exec->launched = true;
    ++ft::sim::launched_graphs;
    for (const auto& work : exec->recording->work) {
      const cudaError_t error = work();
      if (error != cudaSuccess) return error;
    }
    return cudaSuccess;
  });
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}

}  // extern "C"
