// Kernels whose outputs at i follow from their inputs at i: one read of each input, one write of each output,
// bound by memory. A block takes kPointwiseThreads groups of 16 bytes a buffer; the last block, and every
// block when a buffer is not aligned, goes element by element (neighbouring threads, neighbouring elements).
// An output may be one of the inputs: a thread writes only what it alone has read.
#pragma once

#include "kernels/cuda/launch.h"
#include "kernels/cuda/pack.cuh"

namespace ft {

constexpr int kPointwiseThreads = 256;

template <class T, int kInputs, int kOutputs>
struct PointwiseBuffers {
  const T* in[kInputs];
  T* out[kOutputs];
};

template <class T, int kInputs, int kOutputs, class F>
__global__ void __launch_bounds__(kPointwiseThreads)
    pointwise_kernel(PointwiseBuffers<T, kInputs, kOutputs> buffers, int64_t count, bool aligned, F f) {
  constexpr int64_t kBlock = kPointwiseThreads * kGroup<T>;
  const int64_t first = blockIdx.x * kBlock;
  float x[kInputs], y[kOutputs];
  if (aligned && first + kBlock <= count) {
    const int64_t at = first + threadIdx.x * kGroup<T>;
    Group<T, kGroup<T>> in[kInputs], out[kOutputs];
#pragma unroll
    for (int b = 0; b < kInputs; ++b)
      in[b] = *reinterpret_cast<const Group<T, kGroup<T>>*>(buffers.in[b] + at);
#pragma unroll
    for (int k = 0; k < kGroup<T>; ++k) {
#pragma unroll
      for (int b = 0; b < kInputs; ++b) x[b] = value(in[b].v[k]);
      f(x, y);
#pragma unroll
      for (int b = 0; b < kOutputs; ++b) out[b].v[k] = rounded<T>(y[b]);
    }
#pragma unroll
    for (int b = 0; b < kOutputs; ++b) *reinterpret_cast<Group<T, kGroup<T>>*>(buffers.out[b] + at) = out[b];
    return;
  }
#pragma unroll 1
  for (int64_t at = first + threadIdx.x; at < count && at < first + kBlock; at += kPointwiseThreads) {
#pragma unroll
    for (int b = 0; b < kInputs; ++b) x[b] = value(buffers.in[b][at]);
    f(x, y);
#pragma unroll
    for (int b = 0; b < kOutputs; ++b) buffers.out[b][at] = rounded<T>(y[b]);
  }
}

/// Queues f(in, out) for every element; F has `void operator()(const float (&)[kInputs], float
/// (&)[kOutputs])`.
template <class T, int kInputs, int kOutputs, class F>
void pointwise(CudaStream& s, const char* op, int64_t count,
               const PointwiseBuffers<T, kInputs, kOutputs>& buffers, F f) {
  if (count == 0) return;
  bool aligned = true;
  for (const T* p : buffers.in) aligned = aligned && aligned_rows(p);
  for (const T* p : buffers.out) aligned = aligned && aligned_rows(p);
  const auto blocks = static_cast<unsigned>(blocks_for(count, kPointwiseThreads * kGroup<T>));
  pointwise_kernel<<<blocks, kPointwiseThreads, 0, s.handle()>>>(buffers, count, aligned, f);
  check_launch(op);
}

}  // namespace ft
