// Pointwise activations, plain and gated (pointwise.cuh). Backward recomputes everything from the input. Each
// kind is a value with its derivative, formed without cancellation: the logistic function with its complement
// from e^-|x|, the normal distribution from erfc, whose tail keeps its digits.
#include "engine/ops/activation.h"

#include "kernels/cuda/pointwise.cuh"

namespace ft {
namespace {

/// s = 1/(1 + e^-x) and c = 1 − s.
__device__ __forceinline__ void logistic(float x, float& s, float& c) {
  const float e = expf(-fabsf(x)), larger = __frcp_rn(1 + e), smaller = e * larger;
  s = x < 0 ? smaller : larger;
  c = x < 0 ? larger : smaller;
}

struct Gelu {
  static __device__ __forceinline__ void both(float x, float& y, float& dy) {
    const float phi = 0.5f * erfcf(-0.70710678f * x);
    y = x * phi;
    dy = x * (0.39894228f * expf(-0.5f * x * x)) + phi;  // 1/√(2π)
  }
};

struct GeluTanh {
  // ½(1 + tanh u) is the logistic function of 2u, u = √(2/π)·(x + 0.044715 x³).
  static __device__ __forceinline__ void both(float x, float& y, float& dy) {
    constexpr float k = 1.5957691216f, k2 = 1.5957691216f * 0.044715f;  // 2·√(2/π)
    float s, c;
    logistic(x * (x * x * k2 + k), s, c);
    y = x * s;
    dy = y * c * (x * x * (3 * k2) + k) + s;
  }
};

struct Silu {
  static __device__ __forceinline__ void both(float x, float& y, float& dy) {
    float s, c;
    logistic(x, s, c);
    y = x * s;
    dy = y * c + s;
  }
};

struct Relu {
  static __device__ __forceinline__ void both(float x, float& y, float& dy) {
    const bool off = x <= 0;  // false for NaN, which passes
    y = off ? 0.0f : x;
    dy = off ? 0.0f : 1.0f;
  }
};

struct Tanh {
  static __device__ __forceinline__ void both(float x, float& y, float& dy) {
    y = tanhf(x);
    dy = 1 - y * y;
  }
};

template <class Kind>
struct Plain {  // x → y
  __device__ __forceinline__ void operator()(const float (&in)[1], float (&out)[1]) const {
    float slope;
    Kind::both(in[0], out[0], slope);
  }
};
template <class Kind>
struct PlainGrad {  // x, dy → dx
  __device__ __forceinline__ void operator()(const float (&in)[2], float (&out)[1]) const {
    float y, slope;
    Kind::both(in[0], y, slope);
    out[0] = in[1] * slope;
  }
};
template <class Kind>
struct Gated {  // gate, up → y
  __device__ __forceinline__ void operator()(const float (&in)[2], float (&out)[1]) const {
    float y, slope;
    Kind::both(in[0], y, slope);
    out[0] = y * in[1];
  }
};
template <class Kind>
struct GatedGrad {  // gate, up, dy → dgate, dup
  __device__ __forceinline__ void operator()(const float (&in)[3], float (&out)[2]) const {
    float y, slope;
    Kind::both(in[0], y, slope);
    out[0] = in[2] * in[1] * slope;
    out[1] = in[2] * y;
  }
};

/// Queues Of<the kind's struct> over the buffers.
template <template <class> class Of, class T, int kInputs, int kOutputs>
void with_kind(CudaStream& s, const char* op, Activation kind, int64_t count,
               const PointwiseBuffers<T, kInputs, kOutputs>& buffers) {
  switch (kind) {
    case Activation::gelu:
      return pointwise(s, op, count, buffers, Of<Gelu>());
    case Activation::gelu_tanh:
      return pointwise(s, op, count, buffers, Of<GeluTanh>());
    case Activation::silu:
      return pointwise(s, op, count, buffers, Of<Silu>());
    case Activation::relu:
      return pointwise(s, op, count, buffers, Of<Relu>());
    case Activation::tanh:
      return pointwise(s, op, count, buffers, Of<Tanh>());
  }
}

template <class T>
void plain(CudaStream& s, const ActivationArgs<T>& a) {
  with_kind<Plain>(s, "activation", a.kind, a.count, PointwiseBuffers<T, 1, 1>{{a.x}, {a.y}});
}
template <class T>
void plain_grad(CudaStream& s, const ActivationGradArgs<T>& a) {
  with_kind<PlainGrad>(s, "activation_grad", a.kind, a.count, PointwiseBuffers<T, 2, 1>{{a.x, a.dy}, {a.dx}});
}
template <class T>
void gated(CudaStream& s, const GatedActivationArgs<T>& a) {
  with_kind<Gated>(s, "gated_activation", a.kind, a.count, PointwiseBuffers<T, 2, 1>{{a.gate, a.up}, {a.y}});
}
template <class T>
void gated_grad(CudaStream& s, const GatedActivationGradArgs<T>& a) {
  with_kind<GatedGrad>(s, "gated_activation_grad", a.kind, a.count,
                       PointwiseBuffers<T, 3, 2>{{a.gate, a.up, a.dy}, {a.dgate, a.dup}});
}

}  // namespace

void activation(CudaStream& s, const ActivationArgs<float>& a) {
  plain(s, a);
}
void activation(CudaStream& s, const ActivationArgs<BF16>& a) {
  plain(s, a);
}
void activation(CudaStream& s, const ActivationArgs<F16>& a) {
  plain(s, a);
}
void activation_grad(CudaStream& s, const ActivationGradArgs<float>& a) {
  plain_grad(s, a);
}
void activation_grad(CudaStream& s, const ActivationGradArgs<BF16>& a) {
  plain_grad(s, a);
}
void activation_grad(CudaStream& s, const ActivationGradArgs<F16>& a) {
  plain_grad(s, a);
}
void gated_activation(CudaStream& s, const GatedActivationArgs<float>& a) {
  gated(s, a);
}
void gated_activation(CudaStream& s, const GatedActivationArgs<BF16>& a) {
  gated(s, a);
}
void gated_activation(CudaStream& s, const GatedActivationArgs<F16>& a) {
  gated(s, a);
}
void gated_activation_grad(CudaStream& s, const GatedActivationGradArgs<float>& a) {
  gated_grad(s, a);
}
void gated_activation_grad(CudaStream& s, const GatedActivationGradArgs<BF16>& a) {
  gated_grad(s, a);
}
void gated_activation_grad(CudaStream& s, const GatedActivationGradArgs<F16>& a) {
  gated_grad(s, a);
}

}  // namespace ft
