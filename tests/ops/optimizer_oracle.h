// The optimizers element by element, as the equations in engine/ops/optimizer.h stand.
#pragma once

#include <cmath>

#include "engine/ops/optimizer.h"

namespace ft::test {

template <class T>
void adamw_oracle(const AdamWArgs<T>& a) {
  const double t = static_cast<double>(a.t);
  for (int64_t i = 0; i < a.count; ++i) {
    const T g = static_cast<T>(a.grad_scale) * a.grad[i];
    a.w[i] -= static_cast<T>(a.lr * a.weight_decay) * a.w[i];
    a.m[i] = static_cast<T>(a.beta1) * a.m[i] + static_cast<T>(1 - a.beta1) * g;
    a.v[i] = static_cast<T>(a.beta2) * a.v[i] + static_cast<T>(1 - a.beta2) * g * g;
    const T m_hat = a.m[i] / static_cast<T>(1 - std::pow(a.beta1, t));
    const T v_hat = a.v[i] / static_cast<T>(1 - std::pow(a.beta2, t));
    a.w[i] -= static_cast<T>(a.lr) * m_hat / (std::sqrt(v_hat) + static_cast<T>(a.eps));
  }
}

template <class T>
void sgd_oracle(const SgdArgs<T>& a) {
  for (int64_t i = 0; i < a.count; ++i) {
    T g = static_cast<T>(a.grad_scale) * a.grad[i] + static_cast<T>(a.weight_decay) * a.w[i];
    if (a.buf) g = a.buf[i] = a.t == 1 ? g : static_cast<T>(a.momentum) * a.buf[i] + g;
    a.w[i] -= static_cast<T>(a.lr) * g;
  }
}

}  // namespace ft::test
