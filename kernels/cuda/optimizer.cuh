// The updates of AdamW and SGD, element by element. Scalars are formed in double and rounded once; each
// element goes through the operations of torch.optim in their order, every one rounded by itself and
// multiply-adds fused where PyTorch's CPU kernels fuse them: the bits are those of this engine's CPU kernels.
#pragma once

#include <cmath>
#include <cstdint>

namespace ft {

/// Of an AdamW update, those that no tensor changes; made on the host.
struct AdamWScalars {
  double first_correction;  // 1 − β1^t
  float new_m, old_m, beta2, new_v, correction, eps;
  bool mostly_new;  // torch.lerp's other branch

  AdamWScalars(double beta1, double beta2_, double eps_, int64_t t)
      : first_correction(1 - std::pow(beta1, static_cast<double>(t))),
        new_m(static_cast<float>(1 - beta1)),
        old_m(1 - new_m),
        beta2(static_cast<float>(beta2_)),
        new_v(static_cast<float>(1 - beta2_)),
        correction(static_cast<float>(std::sqrt(1 - std::pow(beta2_, static_cast<double>(t))))),
        eps(static_cast<float>(eps_)),
        mostly_new(1 - beta1 >= 0.5) {}
};

struct AdamWUpdate : AdamWScalars {  // w, grad, m, v → w, m, v
  float decay, grad_scale, step;

  /// `shrink` is lr · weight_decay, formed by the caller: in device code the compiler would fuse it with
  /// the 1.
  __host__ __device__ AdamWUpdate(const AdamWScalars& s, double lr, double shrink, double grad_scale_)
      : AdamWScalars(s),
        decay(static_cast<float>(1 - shrink)),
        grad_scale(static_cast<float>(grad_scale_)),
        step(static_cast<float>(-lr / first_correction)) {}
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

  __host__ __device__ SgdScalars(double lr, double weight_decay, double grad_scale_)
      : decay(static_cast<float>(weight_decay)),
        grad_scale(static_cast<float>(grad_scale_)),
        step(static_cast<float>(-lr)),
        decays(weight_decay != 0) {}
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

}  // namespace ft
