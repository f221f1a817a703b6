// CUDA graphs by capturing the device's stream.
#include "engine/core/stream_recording.h"

#include <cuda_runtime_api.h>

#include "kernels/cuda/launch.h"

namespace ft::cuda {

void begin_recording(int device) {
  check_cuda(cudaStreamBeginCapture(CudaStream(device).handle(), cudaStreamCaptureModeGlobal),
             "cudaStreamBeginCapture");
}

bool is_recording(int device) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check_cuda(cudaStreamIsCapturing(CudaStream(device).handle(), &status), "cudaStreamIsCapturing");
  return status != cudaStreamCaptureStatusNone;
}

std::shared_ptr<void> end_recording(int device) {
  cudaGraph_t graph = nullptr;
  const cudaError_t status = cudaStreamEndCapture(CudaStream(device).handle(), &graph);
  cudaGraphExec_t exec = nullptr;
  if (status == cudaSuccess && graph) {
    const cudaError_t made = cudaGraphInstantiate(&exec, graph, 0);
    cudaGraphDestroy(graph);
    if (made != cudaSuccess) exec = nullptr;
  }
  cudaGetLastError();  // a broken recording is no error of the work that follows
  return {exec, [](void* p) {
            if (p) cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(p));
          }};
}

void run_recording(int device, const std::shared_ptr<void>& recording) {
  check_cuda(cudaGraphLaunch(static_cast<cudaGraphExec_t>(recording.get()), CudaStream(device).handle()),
             "cudaGraphLaunch");
}

}  // namespace ft::cuda
