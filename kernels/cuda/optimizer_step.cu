// An optimizer step over all tensors: a block takes one chunk of one tensor, found by the chunk's number, so
// each op is one launch (two for the sums) however many tensors are trained, and small ones fill the device
// together. The sums: every chunk's Σ g² in double, then a block a tensor adds its chunks in their order.
// Bits of the updates are the CPU's. Bound by memory: AdamW moves 7 floats an element.
#include "engine/ops/optimizer_step.h"

#include "kernels/cuda/launch.h"
#include "kernels/cuda/optimizer.cuh"
#include "kernels/cuda/pack.cuh"
#include "kernels/cuda/reduce.cuh"

namespace ft {
namespace {

constexpr int kThreads = 256;

/// What the pointers and sizes of every trained tensor are in device code.
struct Tensors {
  const TrainedTensor<float>* tensors;
  const int32_t* owner;

  explicit Tensors(const TrainedTensors<float>& t) : tensors(t.device), owner(t.owner) {}
  __device__ TrainedTensor<float> of(int64_t chunk) const { return tensors[owner[chunk]]; }
};

/// f(first of 4 neighbouring elements, how many are left) for this thread's part of a chunk.
template <class F>
__device__ __forceinline__ void for_each_quad(const TrainedTensor<float>& t, int64_t chunk, F&& f) {
  const int64_t first = (chunk - t.chunk) * kTrainedChunk, last = min(t.count, first + kTrainedChunk);
  for (int64_t i = first + threadIdx.x * 4; i < last; i += kThreads * 4) f(i, last - i);
}

__device__ __forceinline__ bool aligned_quads(const float* p) {
  return reinterpret_cast<uintptr_t>(p) % 16 == 0;
}

__global__ void __launch_bounds__(kThreads) square_chunks(Tensors tensors, double* partial) {
  const TrainedTensor<float> t = tensors.of(blockIdx.x);
  const bool aligned = aligned_quads(t.grad);
  double sum = 0;
  for_each_quad(t, blockIdx.x, [&](int64_t i, int64_t left) {
    float v[4];
    load_values(t.grad + i, left, aligned, v);
#pragma unroll
    for (int k = 0; k < 4; ++k) sum = __fma_rn(static_cast<double>(v[k]), static_cast<double>(v[k]), sum);
  });
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

/// A block a tensor: the sum of its chunks, in their order.
__global__ void __launch_bounds__(kThreads)
    add_chunk_squares(const TrainedTensor<float>* tensors, const double* partial, double* out) {
  const TrainedTensor<float>& t = tensors[blockIdx.x];
  const int64_t chunks = (t.count + kTrainedChunk - 1) / kTrainedChunk;
  double sum = 0;
  for (int64_t i = threadIdx.x; i < chunks; i += kThreads) sum += partial[t.chunk + i];
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) out[blockIdx.x] = sum;
}

/// The fields that a tensor's update reads and writes, in the order of the functor's arguments.
template <int kFields>
struct Fields {
  float* of[kFields];
  bool aligned = true;
  template <class... P>
  __device__ explicit Fields(P*... p) : of{p...} {
    aligned = (... && aligned_quads(p));
  }
};

/// f(in, out) for every element of this block's chunk.
template <int kIn, int kOut, class F>
__device__ __forceinline__ void update_chunk(const TrainedTensor<float>& t, const Fields<kIn>& in,
                                             const Fields<kOut>& out, F&& f) {
  for_each_quad(t, blockIdx.x, [&](int64_t i, int64_t left) {
    float x[kIn][4], y[kOut][4];
#pragma unroll
    for (int b = 0; b < kIn; ++b) load_values(in.of[b] + i, left, in.aligned, x[b]);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      float element[kIn], result[kOut];
#pragma unroll
      for (int b = 0; b < kIn; ++b) element[b] = x[b][k];
      f(element, result);
#pragma unroll
      for (int b = 0; b < kOut; ++b) y[b][k] = result[b];
    }
#pragma unroll
    for (int b = 0; b < kOut; ++b) store_values(out.of[b] + i, left, out.aligned, y[b]);
  });
}

__global__ void __launch_bounds__(kThreads)
    adamw_chunks(Tensors tensors, AdamWScalars scalars, double lr, double grad_scale) {
  const TrainedTensor<float> t = tensors.of(blockIdx.x);
  const double rate = __dmul_rn(t.rate, lr);
  const AdamWUpdate update(scalars, rate, __dmul_rn(rate, t.weight_decay), grad_scale);
  update_chunk(t, Fields<4>(t.w, t.grad, t.first, t.second), Fields<3>(t.w, t.first, t.second), update);
}

__global__ void __launch_bounds__(kThreads)
    sgd_chunks(Tensors tensors, double lr, float momentum, double grad_scale, bool first) {
  const TrainedTensor<float> t = tensors.of(blockIdx.x);
  const SgdScalars scalars(__dmul_rn(t.rate, lr), t.weight_decay, grad_scale);
  if (!t.first)
    update_chunk(t, Fields<2>(t.w, t.grad), Fields<1>(t.w), PlainSgd{scalars});
  else if (first)
    update_chunk(t, Fields<2>(t.w, t.grad), Fields<2>(t.w, t.first), FirstSgd{scalars});
  else
    update_chunk(t, Fields<3>(t.w, t.grad, t.first), Fields<2>(t.w, t.first), MomentumSgd{scalars, momentum});
}

__global__ void __launch_bounds__(kThreads) clear_chunks(Tensors tensors) {
  const TrainedTensor<float> t = tensors.of(blockIdx.x);
  const bool aligned = aligned_quads(t.grad);
  constexpr float kZero[4] = {};
  for_each_quad(t, blockIdx.x,
                [&](int64_t i, int64_t left) { store_values(t.grad + i, left, aligned, kZero); });
}

template <class... Parameters, class... Args>
void launch_chunks(CudaStream& s, const char* op, int64_t blocks, void (*kernel)(Parameters...),
                   const Args&... args) {
  if (blocks == 0) return;
  kernel<<<static_cast<unsigned>(blocks), kThreads, 0, s.handle()>>>(args...);
  check_launch(op);
}

}  // namespace

void square_gradients(CudaStream& s, const SquareGradientsArgs<float>& a) {
  double* partial = s.scratch<double>(a.tensors.chunks);
  launch_chunks(s, "square_gradients", a.tensors.chunks, square_chunks, Tensors(a.tensors), partial);
  launch_chunks(s, "square_gradients", static_cast<int64_t>(a.tensors.host.size()), add_chunk_squares,
                a.tensors.device, partial, a.out);
}
void adamw_step(CudaStream& s, const AdamWStepArgs<float>& a) {
  launch_chunks(s, "adamw_step", a.tensors.chunks, adamw_chunks, Tensors(a.tensors),
                AdamWScalars(a.beta1, a.beta2, a.eps, a.t), a.lr, a.grad_scale);
}
void sgd_step(CudaStream& s, const SgdStepArgs<float>& a) {
  launch_chunks(s, "sgd_step", a.tensors.chunks, sgd_chunks, Tensors(a.tensors), a.lr,
                static_cast<float>(a.momentum), a.grad_scale, a.t == 1);
}
void clear_gradients(CudaStream& s, const ClearGradientsArgs<float>& a) {
  launch_chunks(s, "clear_gradients", a.tensors.chunks, clear_chunks, Tensors(a.tensors));
}

}  // namespace ft
