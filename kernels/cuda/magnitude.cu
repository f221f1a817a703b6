// DoRA's factors: elementwise (pointwise.cuh), with the bits of the CPU's.
#include "engine/ops/magnitude.h"

#include "kernels/cuda/pointwise.cuh"

namespace ft {
namespace {

struct Factor {  // m, ‖W‖², cross → factor, 1 / norm
  float scale, shift;
  __device__ __forceinline__ void operator()(const float (&in)[3], float (&out)[2]) const {
    const float norm = __fsqrt_rn(fmaxf(0.f, __fadd_rn(in[1], __fmul_rn(scale, in[2]))));
    out[1] = norm > 0 ? __frcp_rn(norm) : 0.f;
    out[0] = __fsub_rn(__fmul_rn(in[0], out[1]), shift);
  }
};

}  // namespace

void magnitude(CudaStream& s, const MagnitudeArgs<float>& a) {
  pointwise<float, 3, 2>(s, "magnitude", a.count, {{a.magnitude, a.squares, a.cross}, {a.factor, a.inverse}},
                         Factor{a.scale, a.shift});
}

}  // namespace ft
