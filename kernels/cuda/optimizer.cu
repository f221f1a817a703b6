// Optimizer updates: one pass over w, grad and state (pointwise.cuh), bound by memory. The scalars of an
// update are formed in double on the host and rounded once; each element goes through the operations of
// torch.optim in their order, every one rounded by itself and multiply-adds fused where PyTorch's CPU kernels
// fuse them: the bits are those of this engine's CPU kernels.
#include "engine/ops/optimizer.h"

#include <cmath>

#include "kernels/cuda/pointwise.cuh"
#include "kernels/cuda/reduce.cuh"

namespace ft {
namespace {

struct AdamWUpdate {  // w, grad, m, v → w, m, v
  float decay, grad_scale, new_m, old_m, beta2, new_v, correction, eps, step;
  bool mostly_new;  // torch.lerp's other branch
  __device__ __forceinline__ void operator()(const float (&in)[4], float (&out)[3]) const {
    const float g = __fmul_rn(grad_scale, in[1]), change = __fsub_rn(g, in[2]);
    const float m = mostly_new ? __fmaf_rn(-change, old_m, g) : __fmaf_rn(new_m, change, in[2]);
    const float v = __fmaf_rn(__fmul_rn(new_v, g), g, __fmul_rn(in[3], beta2));
    const float denominator = __fadd_rn(__fdiv_rn(__fsqrt_rn(v), correction), eps);
    out[0] = __fadd_rn(__fmul_rn(in[0], decay), __fdiv_rn(__fmul_rn(step, m), denominator));
    out[1] = m;
    out[2] = v;
  }
};

struct SgdScalars {
  float decay, grad_scale, step;
  bool decays;
  __device__ __forceinline__ float gradient(float w, float grad) const {
    const float g = __fmul_rn(grad_scale, grad);
    return decays ? __fmaf_rn(decay, w, g) : g;
  }
};
struct PlainSgd : SgdScalars {  // w, grad → w
  __device__ __forceinline__ void operator()(const float (&in)[2], float (&out)[1]) const {
    out[0] = __fmaf_rn(step, gradient(in[0], in[1]), in[0]);
  }
};
struct FirstSgd : SgdScalars {  // w, grad → w, buf: what buf held is not read
  __device__ __forceinline__ void operator()(const float (&in)[2], float (&out)[2]) const {
    out[1] = gradient(in[0], in[1]);
    out[0] = __fmaf_rn(step, out[1], in[0]);
  }
};
struct MomentumSgd : SgdScalars {  // w, grad, buf → w, buf
  float momentum;
  __device__ __forceinline__ void operator()(const float (&in)[3], float (&out)[2]) const {
    out[1] = __fadd_rn(__fmul_rn(in[2], momentum), gradient(in[0], in[1]));
    out[0] = __fmaf_rn(step, out[1], in[0]);
  }
};

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
  const auto t = static_cast<double>(a.t);
  AdamWUpdate update;
  update.decay = static_cast<float>(1 - a.lr * a.weight_decay);
  update.grad_scale = static_cast<float>(a.grad_scale);
  update.new_m = static_cast<float>(1 - a.beta1);
  update.old_m = 1 - update.new_m;
  update.beta2 = static_cast<float>(a.beta2);
  update.new_v = static_cast<float>(1 - a.beta2);
  update.correction = static_cast<float>(std::sqrt(1 - std::pow(a.beta2, t)));
  update.eps = static_cast<float>(a.eps);
  update.step = static_cast<float>(-a.lr / (1 - std::pow(a.beta1, t)));
  update.mostly_new = 1 - a.beta1 >= 0.5;
  pointwise<float, 4, 3>(s, "adamw", a.count, {{a.w, a.grad, a.m, a.v}, {a.w, a.m, a.v}}, update);
}

void sgd(CudaStream& s, const SgdArgs<float>& a) {
  const SgdScalars scalars{static_cast<float>(a.weight_decay), static_cast<float>(a.grad_scale),
                           static_cast<float>(-a.lr), a.weight_decay != 0};
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
