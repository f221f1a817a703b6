// Pointwise activations, plain and gated. One exponential an element; backward recomputes everything from the
// input. Each kind is a pair (value, derivative) formed without cancellation: the logistic function with its
// complement, the normal distribution from its tail.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/activation.cpp"
#include "engine/ops/activation.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#include "kernels/cpu/blocks.h"
#include "kernels/cpu/simd/exp-inl.h"
#include "kernels/cpu/simd/lanes-inl.h"
#include "kernels/cpu/simd/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {

struct Gelu {
  template <class D, class V>
  static HWY_INLINE void both(D d, V x, V& y, V& dy) {
    using T = hn::TFromD<D>;
    const V a = hn::Abs(x);
    const V e = softmax_exp(d, hn::Mul(hn::Mul(a, hn::Set(d, T(-0.5))), a));
    const V q = hn::Mul(e, normal_tail(d, a));
    const V phi = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), q, hn::Sub(hn::Set(d, T{1}), q));
    y = hn::Mul(x, phi);
    dy = hn::MulAdd(x, hn::Mul(e, hn::Set(d, static_cast<T>(0.3989422804014327))), phi);  // 1/√(2π)
  }
};

struct GeluTanh {
  // ½(1 + tanh u) is the logistic function of 2u, u = √(2/π)·(x + 0.044715 x³).
  template <class D, class V>
  static HWY_INLINE void both(D d, V x, V& y, V& dy) {
    using T = hn::TFromD<D>;
    constexpr double k = 1.5957691216057308;  // 2·√(2/π)
    const V k0 = hn::Set(d, static_cast<T>(k)), k2 = hn::Set(d, static_cast<T>(k * 0.044715));
    const V square = hn::Mul(x, x);
    V s, c;
    logistic(d, hn::Mul(x, hn::MulAdd(square, k2, k0)), s, c);
    y = hn::Mul(x, s);
    const V slope = hn::MulAdd(square, hn::Set(d, static_cast<T>(3 * k * 0.044715)), k0);
    dy = hn::MulAdd(hn::Mul(y, c), slope, s);
  }
};

struct Silu {
  template <class D, class V>
  static HWY_INLINE void both(D d, V x, V& y, V& dy) {
    V s, c;
    logistic(d, x, s, c);
    y = hn::Mul(x, s);
    dy = hn::MulAdd(y, c, s);
  }
};

struct Relu {
  template <class D, class V>
  static HWY_INLINE void both(D d, V x, V& y, V& dy) {
    const auto off = hn::Le(x, hn::Zero(d));  // false for NaN, which passes
    y = hn::IfThenZeroElse(off, x);
    dy = hn::IfThenZeroElse(off, hn::Set(d, hn::TFromD<D>{1}));
  }
};

struct Tanh {
  template <class D, class V>
  static HWY_INLINE void both(D d, V x, V& y, V& dy) {
    y = hn::IfThenElse(hn::Ne(x, x), x, hn::Tanh(d, x));
    dy = hn::NegMulAdd(y, y, hn::Set(d, hn::TFromD<D>{1}));
  }
};

template <class F>
HWY_INLINE void with_kind(Activation kind, F&& f) {
  switch (kind) {
    case Activation::gelu:
      return f(Gelu());
    case Activation::gelu_tanh:
      return f(GeluTanh());
    case Activation::silu:
      return f(Silu());
    case Activation::relu:
      return f(Relu());
    case Activation::tanh:
      return f(Tanh());
  }
}

/// f(i, part, activation) for every vector of `count` elements, in parallel.
template <class T, class F>
HWY_INLINE void pointwise(CpuStream& stream, int64_t count, Activation kind, F&& f) {
  parallel_blocks(stream, count, kTaskElements, [&](int64_t begin, int64_t end) HWY_ATTR {
    with_kind(kind, [&](auto act) HWY_ATTR {
      for_each(hn::ScalableTag<T>(), end - begin,
               [&](int64_t i, auto part) HWY_ATTR { f(begin + i, part, act); });
    });
  });
}

template <class T>
void activation_impl(CpuStream& stream, const ActivationArgs<T>& args) {
  const hn::ScalableTag<T> d;
  pointwise<T>(stream, args.count, args.kind, [&](int64_t i, auto part, auto act) HWY_ATTR {
    hn::Vec<decltype(d)> y, dy;
    act.both(d, load(d, args.x + i, part), y, dy);
    store(d, y, args.y + i, part);
  });
}

template <class T>
void activation_grad_impl(CpuStream& stream, const ActivationGradArgs<T>& args) {
  const hn::ScalableTag<T> d;
  pointwise<T>(stream, args.count, args.kind, [&](int64_t i, auto part, auto act) HWY_ATTR {
    hn::Vec<decltype(d)> y, dy;
    act.both(d, load(d, args.x + i, part), y, dy);
    store(d, hn::Mul(load(d, args.dy + i, part), dy), args.dx + i, part);
  });
}

template <class T>
void gated_activation_impl(CpuStream& stream, const GatedActivationArgs<T>& args) {
  const hn::ScalableTag<T> d;
  pointwise<T>(stream, args.count, args.kind, [&](int64_t i, auto part, auto act) HWY_ATTR {
    hn::Vec<decltype(d)> y, dy;
    act.both(d, load(d, args.gate + i, part), y, dy);
    store(d, hn::Mul(y, load(d, args.up + i, part)), args.y + i, part);
  });
}

template <class T>
void gated_activation_grad_impl(CpuStream& stream, const GatedActivationGradArgs<T>& args) {
  const hn::ScalableTag<T> d;
  pointwise<T>(stream, args.count, args.kind, [&](int64_t i, auto part, auto act) HWY_ATTR {
    hn::Vec<decltype(d)> y, slope;
    act.both(d, load(d, args.gate + i, part), y, slope);
    const auto dy = load(d, args.dy + i, part), up = load(d, args.up + i, part);
    store(d, hn::Mul(hn::Mul(dy, up), slope), args.dgate + i, part);
    store(d, hn::Mul(dy, y), args.dup + i, part);
  });
}

void activation_f32(CpuStream& s, const ActivationArgs<float>& a) {
  activation_impl(s, a);
}
void activation_f64(CpuStream& s, const ActivationArgs<double>& a) {
  activation_impl(s, a);
}
void activation_grad_f32(CpuStream& s, const ActivationGradArgs<float>& a) {
  activation_grad_impl(s, a);
}
void activation_grad_f64(CpuStream& s, const ActivationGradArgs<double>& a) {
  activation_grad_impl(s, a);
}
void gated_f32(CpuStream& s, const GatedActivationArgs<float>& a) {
  gated_activation_impl(s, a);
}
void gated_f64(CpuStream& s, const GatedActivationArgs<double>& a) {
  gated_activation_impl(s, a);
}
void gated_grad_f32(CpuStream& s, const GatedActivationGradArgs<float>& a) {
  gated_activation_grad_impl(s, a);
}
void gated_grad_f64(CpuStream& s, const GatedActivationGradArgs<double>& a) {
  gated_activation_grad_impl(s, a);
}

}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ft {

HWY_EXPORT(activation_f32);
HWY_EXPORT(activation_f64);
HWY_EXPORT(activation_grad_f32);
HWY_EXPORT(activation_grad_f64);
HWY_EXPORT(gated_f32);
HWY_EXPORT(gated_f64);
HWY_EXPORT(gated_grad_f32);
HWY_EXPORT(gated_grad_f64);

using FloatGate = GatedActivationArgs<float>;
using DoubleGate = GatedActivationArgs<double>;
using FloatGateGrad = GatedActivationGradArgs<float>;
using DoubleGateGrad = GatedActivationGradArgs<double>;

void activation(CpuStream& s, const ActivationArgs<float>& a) {
  HWY_DYNAMIC_DISPATCH(activation_f32)(s, a);
}
void activation(CpuStream& s, const ActivationArgs<double>& a) {
  HWY_DYNAMIC_DISPATCH(activation_f64)(s, a);
}
void activation_grad(CpuStream& s, const ActivationGradArgs<float>& a) {
  HWY_DYNAMIC_DISPATCH(activation_grad_f32)(s, a);
}
void activation_grad(CpuStream& s, const ActivationGradArgs<double>& a) {
  HWY_DYNAMIC_DISPATCH(activation_grad_f64)(s, a);
}
void gated_activation(CpuStream& s, const FloatGate& a) {
  HWY_DYNAMIC_DISPATCH(gated_f32)(s, a);
}
void gated_activation(CpuStream& s, const DoubleGate& a) {
  HWY_DYNAMIC_DISPATCH(gated_f64)(s, a);
}
void gated_activation_grad(CpuStream& s, const FloatGateGrad& a) {
  HWY_DYNAMIC_DISPATCH(gated_grad_f32)(s, a);
}
void gated_activation_grad(CpuStream& s, const DoubleGateGrad& a) {
  HWY_DYNAMIC_DISPATCH(gated_grad_f64)(s, a);
}

}  // namespace ft
#endif
