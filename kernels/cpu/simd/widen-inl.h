// Loads of stored weights (float32, float64, bfloat16, float16) as vectors of the compute type. Exact:
// widening never rounds. Included once a target, inside no namespace.
#if defined(FT_KERNELS_CPU_SIMD_WIDEN_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FT_KERNELS_CPU_SIMD_WIDEN_INL_H_
#undef FT_KERNELS_CPU_SIMD_WIDEN_INL_H_
#else
#define FT_KERNELS_CPU_SIMD_WIDEN_INL_H_
#endif

#include <hwy/highway.h>

#include <type_traits>

#include "engine/core/dtype.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Lanes(d) elements from p, widened to the type of d. No alignment needed.
template <class D, class S>
HWY_INLINE hn::Vec<D> load_widened(D d, const S* HWY_RESTRICT p) {
  using T = hn::TFromD<D>;
  if constexpr (std::is_same_v<S, T>) {
    return hn::LoadU(d, p);
  } else if constexpr (std::is_same_v<T, double>) {
    const hn::Rebind<float, D> df;
    return hn::PromoteTo(d, load_widened(df, p));
  } else if constexpr (std::is_same_v<S, BF16>) {
    const hn::RebindToUnsigned<D> du;
    const hn::Rebind<uint16_t, D> dh;
    return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(du, hn::LoadU(dh, &p->bits))));
  } else {
    static_assert(std::is_same_v<S, F16>);
    const hn::Rebind<uint16_t, D> dh;
    const auto half = hn::LoadU(dh, &p->bits);
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_SSSE3 || HWY_TARGET == HWY_SSE4
    // No instruction for it: shift exponent and mantissa into place, 2^112 mends the bias (subnormals too),
    // and the largest exponent stays the largest.
    const hn::RebindToUnsigned<D> du;
    const auto bits = hn::PromoteTo(du, half);
    const auto magnitude = hn::ShiftLeft<13>(hn::And(bits, hn::Set(du, 0x7fff)));
    const auto scaled = hn::Mul(hn::BitCast(d, magnitude), hn::Set(d, 0x1p112f));
    const auto special =
        hn::IfThenElseZero(hn::Gt(magnitude, hn::Set(du, 0x0f7fffff)), hn::Set(du, 0x7f800000));
    const auto sign = hn::ShiftLeft<16>(hn::And(bits, hn::Set(du, 0x8000)));
    return hn::Or(scaled, hn::BitCast(d, hn::Or(special, sign)));
#else
    const hn::Rebind<hwy::float16_t, D> df16;
    return hn::PromoteTo(d, hn::BitCast(df16, half));
#endif
  }
}

/// out[i] = p[i] for i in [0, count), count a multiple of 16.
template <class T, class S>
HWY_INLINE void widen(const S* HWY_RESTRICT p, int64_t count, T* HWY_RESTRICT out) {
  const hn::CappedTag<T, 16> d;
  const int64_t lanes = hn::Lanes(d);
  for (int64_t i = 0; i < count; i += lanes) hn::StoreU(load_widened(d, p + i), d, out + i);
}

}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
