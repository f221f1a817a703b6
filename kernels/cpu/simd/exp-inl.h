// exp for softmax: correct to about one unit in the last place on x ≤ 88 (float) or 709 (double), exactly
// zero where the result would be subnormal and at −∞, NaN stays NaN (a kernel must not hide a bad score),
// exp(0) = 1. 14 operations a vector, no table, no branch.
//
// exp(x) = 2^n · exp(r), n = round(x / ln 2), |r| ≤ ln 2 / 2 (Cody and Waite's two-part ln 2). Adding
// 1.5·2^m + bias rounds x / ln 2 to an integer and leaves n + bias in the low bits of the sum, ready to be
// shifted into the exponent.
#if defined(FT_KERNELS_CPU_SIMD_EXP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FT_KERNELS_CPU_SIMD_EXP_INL_H_
#undef FT_KERNELS_CPU_SIMD_EXP_INL_H_
#else
#define FT_KERNELS_CPU_SIMD_EXP_INL_H_
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class T>
struct ExpConstants;
template <>
struct ExpConstants<float> {
  static constexpr int kMantissaBits = 23;
  static constexpr float kRound = 12582912.0f + 127.0f;  // 1.5·2^23 + bias
  static constexpr float kLn2High = 0.693145751953125f, kLn2Low = 1.42860677e-6f;
  static constexpr float kLowest = -87.33f;  // the result of anything below is subnormal
};
template <>
struct ExpConstants<double> {
  static constexpr int kMantissaBits = 52;
  static constexpr double kRound = 6755399441055744.0 + 1023.0;  // 1.5·2^52 + bias
  static constexpr double kLn2High = 0.693147180369123816490, kLn2Low = 1.90821492927058770002e-10;
  static constexpr double kLowest = -708.39;
};

/// (exp(r) − 1) / r for |r| ≤ ln 2 / 2; float: degree 5 through the Chebyshev nodes, error 4e-9.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V exp_polynomial(D d, V r, float) {
  V p = hn::Set(d, 0.0013933641f);
  p = hn::MulAdd(p, r, hn::Set(d, 0.0083691485f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.0416664650f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.1666650526f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.5f));
  return hn::MulAdd(p, r, hn::Set(d, 1.0f));
}
/// Double: Taylor's series, remainder 1.2e-17.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V exp_polynomial(D d, V r, double) {
  V p = hn::Set(d, 1.0 / 6227020800);
  p = hn::MulAdd(p, r, hn::Set(d, 1.0 / 479001600));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0 / 39916800));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0 / 3628800));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0 / 362880));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0 / 40320));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0 / 5040));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0 / 720));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0 / 120));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0 / 24));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0 / 6));
  p = hn::MulAdd(p, r, hn::Set(d, 0.5));
  return hn::MulAdd(p, r, hn::Set(d, 1.0));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V softmax_exp(D d, V x) {
  using T = hn::TFromD<D>;
  using C = ExpConstants<T>;
  const hn::RebindToUnsigned<D> bits;
  const V round = hn::Set(d, C::kRound);
  const V shifted = hn::MulAdd(x, hn::Set(d, static_cast<T>(1.4426950408889634)), round);
  const V n = hn::Sub(shifted, round);
  V r = hn::NegMulAdd(n, hn::Set(d, C::kLn2High), x);
  r = hn::NegMulAdd(n, hn::Set(d, C::kLn2Low), r);
  const V fraction = hn::MulAdd(exp_polynomial(d, r, T{}), r, hn::Set(d, T{1}));
  const V power = hn::BitCast(d, hn::ShiftLeft<C::kMantissaBits>(hn::BitCast(bits, shifted)));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, C::kLowest)), hn::Mul(fraction, power));
}

}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
