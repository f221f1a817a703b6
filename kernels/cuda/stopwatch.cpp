#include "kernels/cuda/stopwatch.h"

#include "kernels/cuda/launch.h"

namespace ft {

struct Stopwatch::Events {
  explicit Events(const CudaStream& s) : stream(s) {
    check_cuda(cudaEventCreate(&begin), "cudaEventCreate");
    check_cuda(cudaEventCreate(&end), "cudaEventCreate");
  }
  ~Events() {
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
  }
  CudaStream stream;
  cudaEvent_t begin = nullptr, end = nullptr;
};

Stopwatch::Stopwatch(const CudaStream& stream) : events_(std::make_shared<Events>(stream)) {}

void Stopwatch::start() {
  check_cuda(cudaEventRecord(events_->begin, events_->stream.handle()), "cudaEventRecord");
}

double Stopwatch::seconds() {
  check_cuda(cudaEventRecord(events_->end, events_->stream.handle()), "cudaEventRecord");
  check_cuda(cudaEventSynchronize(events_->end), "cudaEventSynchronize");
  float milliseconds = 0;
  check_cuda(cudaEventElapsedTime(&milliseconds, events_->begin, events_->end), "cudaEventElapsedTime");
  return static_cast<double>(milliseconds) * 1e-3;
}

}  // namespace ft
