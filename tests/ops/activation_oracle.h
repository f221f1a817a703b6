// The activations as their definitions, in T with the C library's functions.
#pragma once

#include <cmath>

#include "engine/ops/activation.h"

namespace ft::test {

template <class T>
T activation_oracle(Activation kind, T x) {
  switch (kind) {
    case Activation::gelu:
      return T(0.5) * x * (1 + std::erf(x * T(0.70710678118654752)));
    case Activation::gelu_tanh:
      return T(0.5) * x * (1 + std::tanh(T(0.79788456080286536) * (x + T(0.044715) * x * x * x)));
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::relu:
      return x > 0 ? x : T{0};
    case Activation::tanh:
      return std::tanh(x);
  }
  return 0;
}

template <class T>
T activation_slope_oracle(Activation kind, T x) {
  switch (kind) {
    case Activation::gelu:
      return T(0.5) * (1 + std::erf(x * T(0.70710678118654752))) +
             x * T(0.3989422804014327) * std::exp(-x * x / 2);
    case Activation::gelu_tanh: {
      const T t = std::tanh(T(0.79788456080286536) * (x + T(0.044715) * x * x * x));
      return T(0.5) * (1 + t) +
             T(0.5) * x * (1 - t * t) * T(0.79788456080286536) * (1 + 3 * T(0.044715) * x * x);
    }
    case Activation::silu: {
      const T s = 1 / (1 + std::exp(-x));
      return s * (1 + x * (1 - s));
    }
    case Activation::relu:
      return x > 0 ? T{1} : T{0};
    case Activation::tanh:
      return 1 - std::tanh(x) * std::tanh(x);
  }
  return 0;
}

}  // namespace ft::test
