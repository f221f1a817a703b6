#include <cuda_runtime_api.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "engine/core/backend_streams.h"
#include "engine/core/stream_recording.h"
#include "kernels/cuda/launch.h"

namespace ft {

struct CudaStream::State {
  int index = 0;
  cudaStream_t stream = nullptr;
  void* scratch = nullptr;
  size_t scratch_bytes = 0;

  ~State() {
    cudaSetDevice(index);
    cudaStreamSynchronize(stream);
    cudaFree(scratch);
    cudaStreamDestroy(stream);
  }
};

CudaStream::CudaStream(int index) {
  static std::mutex mutex;
  static auto* all = new std::map<int, std::shared_ptr<State>>;  // outlives every static tensor
  const std::lock_guard lock(mutex);
  std::shared_ptr<State>& state = (*all)[index];
  if (!state) {
    auto made = std::make_shared<State>();
    made->index = index;
    check_cuda(cudaSetDevice(index), "cudaSetDevice");
    check_cuda(cudaStreamCreateWithFlags(&made->stream, cudaStreamNonBlocking), "cudaStreamCreate");
    // Freed blocks stay in the pool.
    cudaMemPool_t pool = nullptr;
    check_cuda(cudaDeviceGetDefaultMemPool(&pool, index), "cudaDeviceGetDefaultMemPool");
    uint64_t keep = UINT64_MAX;
    check_cuda(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep),
               "cudaMemPoolSetAttribute");
    state = std::move(made);
  }
  state_ = state;
}

Device CudaStream::device() const {
  return {DeviceKind::cuda, state_->index};
}

CUstream_st* CudaStream::handle() const {
  return state_->stream;
}

void* CudaStream::scratch(size_t bytes) {
  if (bytes > state_->scratch_bytes) {
    FT_CHECK(!cuda::is_recording(state_->index), "[cuda] a recording cannot enlarge the scratch memory");
    // Whoever still reads the old one comes before in the stream's order.
    const size_t wanted = std::max(bytes, state_->scratch_bytes * 2);
    check_cuda(cudaFreeAsync(state_->scratch, state_->stream), "cudaFreeAsync");
    state_->scratch = nullptr;
    state_->scratch_bytes = 0;
    check_cuda(cudaMallocAsync(&state_->scratch, wanted, state_->stream), "cudaMallocAsync");
    state_->scratch_bytes = wanted;
  }
  return state_->scratch;
}

}  // namespace ft
