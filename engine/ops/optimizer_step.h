// One optimizer step over all trained tensors at once: a few launches, however many tensors there are.
//   square_gradients   Σ g² of each tensor, in double and in a fixed order: what the norm, its clipping and
//   the
//                      search for a gradient that is not finite follow from
//   adamw_step, sgd_step   optimizer.h's update of each tensor with g = grad_scale · grad
//   clear_gradients    grad = 0
#pragma once

#include <cstdint>
#include <span>

#include "engine/core/backend_streams.h"

namespace ft {

template <class T>
struct TrainedTensor {
  int64_t count = 0;
  T *w = nullptr, *grad = nullptr;
  T *first = nullptr, *second = nullptr;  // AdamW: m and v; SGD with momentum: buf and null
  double rate = 1;                        // the learning rate's factor
  double weight_decay = 0;                // of the tensor's own learning rate
  int64_t chunk = 0;                      // of its first element; see number_chunks
};

/// Kernels of a device take the tensors in chunks of this many elements; each tensor starts a new one.
constexpr int64_t kTrainedChunk = 16384;

/// The tensors of a run; `device` and `owner` (each chunk's tensor) are copies for the kernels of a device.
template <class T>
struct TrainedTensors {
  std::span<const TrainedTensor<T>> host;
  const TrainedTensor<T>* device = nullptr;
  const int32_t* owner = nullptr;
  int64_t chunks = 0;
};

/// Fills in every tensor's first chunk; returns how many chunks there are.
template <class T>
int64_t number_chunks(std::span<TrainedTensor<T>> tensors) {
  int64_t chunks = 0;
  for (TrainedTensor<T>& t : tensors) {
    t.chunk = chunks;
    chunks += (t.count + kTrainedChunk - 1) / kTrainedChunk;
  }
  return chunks;
}

template <class T>
struct SquareGradientsArgs {
  TrainedTensors<T> tensors;
  double* out = nullptr;  // [tensors], overwritten; NaN and infinity pass through
};

template <class T>
struct AdamWStepArgs {
  TrainedTensors<T> tensors;
  double lr = 0, beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double grad_scale = 1;
  int64_t t = 1;  // 1-based count of updates
};

template <class T>
struct SgdStepArgs {
  TrainedTensors<T> tensors;
  double lr = 0, momentum = 0, grad_scale = 1;
  int64_t t = 1;
};

template <class T>
struct ClearGradientsArgs {
  TrainedTensors<T> tensors;
};

void square_gradients(CpuStream&, const SquareGradientsArgs<float>&);
void square_gradients(CpuStream&, const SquareGradientsArgs<double>&);
void square_gradients(CudaStream&, const SquareGradientsArgs<float>&);
void adamw_step(CpuStream&, const AdamWStepArgs<float>&);
void adamw_step(CpuStream&, const AdamWStepArgs<double>&);
void adamw_step(CudaStream&, const AdamWStepArgs<float>&);
void sgd_step(CpuStream&, const SgdStepArgs<float>&);
void sgd_step(CpuStream&, const SgdStepArgs<double>&);
void sgd_step(CudaStream&, const SgdStepArgs<float>&);
void clear_gradients(CpuStream&, const ClearGradientsArgs<float>&);
void clear_gradients(CpuStream&, const ClearGradientsArgs<double>&);
void clear_gradients(CudaStream&, const ClearGradientsArgs<float>&);

}  // namespace ft
