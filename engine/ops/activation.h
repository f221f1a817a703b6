// Pointwise activations, plain and gated (y = act(gate)·up: SwiGLU, GeGLU; Shazeer 2020). Backward recomputes
// the activation from its input, so nothing else is saved.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/autograd/fwd.h"
#include "engine/core/backend_streams.h"

namespace ft {

enum class Activation : uint8_t {
  gelu,       // x·Φ(x), by erf
  gelu_tanh,  // "gelu_new", "gelu_pytorch_tanh", "gelu_fast": the tanh form (Hendrycks and Gimpel 2016)
  silu,       // "silu", "swish"
  relu,
  tanh,
};

/// From Hugging Face's `hidden_act`/`activation_function`; throws ft::Error on an unknown name.
Activation activation_from_name(std::string_view name);

template <class T>
struct ActivationArgs {
  int64_t count = 0;
  Activation kind{};
  const T* x = nullptr;
  T* y = nullptr;  // may alias x
};
template <class T>
struct ActivationGradArgs {
  int64_t count = 0;
  Activation kind{};
  const T *x = nullptr, *dy = nullptr;
  T* dx = nullptr;  // overwritten; may alias dy
};
template <class T>
struct GatedActivationArgs {
  int64_t count = 0;
  Activation kind{};
  const T *gate = nullptr, *up = nullptr;
  T* y = nullptr;  // may alias gate or up
};
template <class T>
struct GatedActivationGradArgs {
  int64_t count = 0;
  Activation kind{};
  const T *gate = nullptr, *up = nullptr, *dy = nullptr;
  T *dgate = nullptr, *dup = nullptr;  // overwritten; dup may alias dy
};

void activation(CpuStream&, const ActivationArgs<float>&);
void activation(CpuStream&, const ActivationArgs<double>&);
void activation(CudaStream&, const ActivationArgs<float>&);
void activation(CudaStream&, const ActivationArgs<BF16>&);
void activation(CudaStream&, const ActivationArgs<F16>&);
void activation_grad(CpuStream&, const ActivationGradArgs<float>&);
void activation_grad(CpuStream&, const ActivationGradArgs<double>&);
void activation_grad(CudaStream&, const ActivationGradArgs<float>&);
void activation_grad(CudaStream&, const ActivationGradArgs<BF16>&);
void activation_grad(CudaStream&, const ActivationGradArgs<F16>&);
void gated_activation(CpuStream&, const GatedActivationArgs<float>&);
void gated_activation(CpuStream&, const GatedActivationArgs<double>&);
void gated_activation(CudaStream&, const GatedActivationArgs<float>&);
void gated_activation(CudaStream&, const GatedActivationArgs<BF16>&);
void gated_activation(CudaStream&, const GatedActivationArgs<F16>&);
void gated_activation_grad(CpuStream&, const GatedActivationGradArgs<float>&);
void gated_activation_grad(CpuStream&, const GatedActivationGradArgs<double>&);
void gated_activation_grad(CudaStream&, const GatedActivationGradArgs<float>&);
void gated_activation_grad(CudaStream&, const GatedActivationGradArgs<BF16>&);
void gated_activation_grad(CudaStream&, const GatedActivationGradArgs<F16>&);

// ---- differentiable

Var activation(Tape&, Activation kind, const Var& x);
/// act(gate) · up, same shape.
Var gated_activation(Tape&, Activation kind, const Var& gate, const Var& up);

}  // namespace ft
