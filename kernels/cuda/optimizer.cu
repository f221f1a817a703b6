// Optimizer updates of one tensor: one pass over w, grad and state (pointwise.cuh), bound by memory. The
// engine takes all tensors at once (optimizer_step.cu); this is the plain form that it is compared with.
#include "engine/ops/optimizer.h"

#include "kernels/cuda/optimizer.cuh"
#include "kernels/cuda/pointwise.cuh"
#include "kernels/cuda/reduce.cuh"

namespace ft {
namespace {

constexpr int kSumThreads = 256;
constexpr int64_t kSumBlock = 16384;  // elements a block

__global__ void __launch_bounds__(kSumThreads)
    square_blocks(int64_t count, const float* x, bool aligned, double* partial) {
  const int64_t first = blockIdx.x * kSumBlock;
  double sum = 0;
  for (int64_t i = first + threadIdx.x * 4; i < count && i < first + kSumBlock; i += kSumThreads * 4) {
    float v[4];
    load_values(x + i, count - i, aligned, v);
#pragma unroll
    for (int k = 0; k < 4; ++k) sum = __fma_rn(static_cast<double>(v[k]), static_cast<double>(v[k]), sum);
  }
  sum = block_sum<kSumThreads>(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kSumThreads) add_blocks(int64_t count, const double* partial, double* out) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += kSumThreads) sum += partial[i];
  sum = block_sum<kSumThreads>(sum);
  if (threadIdx.x == 0) *out = sum;
}

}  // namespace

void adamw(CudaStream& s, const AdamWArgs<float>& a) {
  const AdamWUpdate update(AdamWScalars(a.beta1, a.beta2, a.eps, a.t), a.lr, a.lr * a.weight_decay,
                           a.grad_scale);
  pointwise<float, 4, 3>(s, "adamw", a.count, {{a.w, a.grad, a.m, a.v}, {a.w, a.m, a.v}}, update);
}

void sgd(CudaStream& s, const SgdArgs<float>& a) {
  const SgdScalars scalars(a.lr, a.weight_decay, a.grad_scale);
  if (!a.buf)
    pointwise<float, 2, 1>(s, "sgd", a.count, {{a.w, a.grad}, {a.w}}, PlainSgd{scalars});
  else if (a.t == 1)
    pointwise<float, 2, 2>(s, "sgd", a.count, {{a.w, a.grad}, {a.w, a.buf}}, FirstSgd{scalars});
  else
    pointwise<float, 3, 2>(s, "sgd", a.count, {{a.w, a.grad, a.buf}, {a.w, a.buf}},
                           MomentumSgd{scalars, static_cast<float>(a.momentum)});
}

void sum_squares(CudaStream& s, const SumSquaresArgs<float>& a) {
  const int64_t blocks = blocks_for(a.count, kSumBlock);
  double* partial = s.scratch<double>(std::max<int64_t>(1, blocks));
  if (blocks > 0) {
    square_blocks<<<static_cast<unsigned>(blocks), kSumThreads, 0, s.handle()>>>(a.count, a.x,
                                                                                 aligned_rows(a.x), partial);
    check_launch("sum_squares");
  }
  add_blocks<<<1, kSumThreads, 0, s.handle()>>>(blocks, partial, a.out);  // of nothing: 0
  check_launch("sum_squares");
}

}  // namespace ft
