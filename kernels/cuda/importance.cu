// AdaLoRA's averages of importance: elementwise (pointwise.cuh), with the bits of the CPU's.
#include "engine/ops/importance.h"

#include "kernels/cuda/pointwise.cuh"

namespace ft {
namespace {

struct Averages {  // w, grad, average, uncertainty → average, uncertainty
  float grad_scale, beta1, new1, beta2, new2;
  __device__ __forceinline__ void operator()(const float (&in)[4], float (&out)[2]) const {
    const float now = fabsf(__fmul_rn(in[0], __fmul_rn(grad_scale, in[1])));
    out[0] = __fadd_rn(__fmul_rn(beta1, in[2]), __fmul_rn(new1, now));
    out[1] = __fadd_rn(__fmul_rn(beta2, in[3]), __fmul_rn(new2, fabsf(__fsub_rn(now, out[0]))));
  }
};

}  // namespace

void importance(CudaStream& s, const ImportanceArgs<float>& a) {
  pointwise<float, 4, 2>(s, "importance", a.count,
                         {{a.w, a.grad, a.average, a.uncertainty}, {a.average, a.uncertainty}},
                         Averages{a.grad_scale, a.beta1, 1 - a.beta1, a.beta2, 1 - a.beta2});
}

}  // namespace ft
