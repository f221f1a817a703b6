// Normal distribution and logistic function of a vector, float and double (the exponential is in exp-inl.h).
//
//   normal_tail  e^(x²/2)·Q(|x|), Q(a) = P(N(0,1) > a), relative error 4e-7 (float), 1e-15 (double)
//   logistic     1/(1 + e^-x) and its complement, each to 3 ulp of itself, so no digits cancel in derivatives
// All pass NaN through. Errors are measured in tests/ops/simd_test.cpp. Without fused multiply-add the
// same formulas lose about half a unit more.
#if defined(FT_KERNELS_CPU_SIMD_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FT_KERNELS_CPU_SIMD_MATH_INL_H_
#undef FT_KERNELS_CPU_SIMD_MATH_INL_H_
#else
#define FT_KERNELS_CPU_SIMD_MATH_INL_H_
#endif

#include <hwy/highway.h>

#include "kernels/cpu/simd/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// c0 + c1·x + c2·x² + …
template <class D, class V, class T>
HWY_INLINE V horner(D d, V, T c) {
  return hn::Set(d, c);
}
template <class D, class V, class T, class... Rest>
HWY_INLINE V horner(D d, V x, T c, Rest... rest) {
  return hn::MulAdd(horner(d, x, rest...), x, hn::Set(d, c));
}

template <class T>
struct NormalTail;

template <>
struct NormalTail<float> {
  static constexpr float tail_slope = 0.3f;
  // Q(a)·e^(a²/2)/t over t = 1/(1 + 0.3 a), 0 ≤ a ≤ 13.2: 4.2e-9.
  template <class D, class V>
  static HWY_INLINE V tail_poly(D d, V t) {
    return horner(d, t, 0.119687452990529693f, 0.119556797704430155f, 0.110360556954634229f,
                  0.0778089078398432469f, 0.0978155886399919529f, -0.0824569421488854795f,
                  0.195348073856468604f, -0.230815127245481082f, 0.113509864411639022f,
                  -0.0208151747042324427f);
  }
};

template <>
struct NormalTail<double> {
  static constexpr double tail_slope = 0.25;
  // The same over t = 1/(1 + a/4), 0 ≤ a ≤ 38.5: 3.6e-17.
  template <class D, class V>
  static HWY_INLINE V tail_poly(D d, V t) {
    return horner(d, t, 0.099735570104148486, 0.0997355698208775203, 0.0935021064419842958,
                  0.0810349544242736891, 0.0635062968350528359, 0.0432158114284576791, 0.0236266755261651868,
                  0.00580357377820996033, 0.00355094691806295306, -0.0317601295253432712,
                  0.0711199515833755382, -0.183543835847582792, 0.347051345363815391, -0.492093403721830502,
                  0.511476367258945963, -0.31202847445991448, -0.0172888631285703631, 0.244961453196535316,
                  -0.258142748894896625, 0.149765396945693457, -0.0531051727234533381, 0.0108703828409672651,
                  -0.000993774164974170068);
  }
};

/// Q(a)·e^(a²/2) for a = |x| ≥ 0 (the Mills ratio over √(2π)).
template <class D, class V>
HWY_INLINE V normal_tail(D d, V a) {
  using C = NormalTail<hn::TFromD<D>>;
  const V one = hn::Set(d, hn::TFromD<D>{1});
  const V t = hn::Div(one, hn::MulAdd(a, hn::Set(d, C::tail_slope), one));
  return hn::Mul(t, C::tail_poly(d, t));
}

/// s = 1/(1 + e^-x) and c = 1 − s = e^-x·s. Where s would be less than about the smallest normal number it is
/// 0.
template <class D, class V>
HWY_INLINE void logistic(D d, V x, V& s, V& c) {
  using T = hn::TFromD<D>;
  const V one = hn::Set(d, T{1}), limit = hn::Set(d, static_cast<T>(sizeof(T) == 4 ? 87.0 : 708.0));
  const V negative = hn::Neg(x);
  const V e = softmax_exp(d, hn::Min(limit, negative));  // in this order NaN passes
  s = hn::IfThenZeroElse(hn::Gt(negative, limit), hn::Div(one, hn::Add(one, e)));
  c = hn::Mul(e, s);
}

}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
