// out[c][r] (+)= in[r][c], in blocks of one 128-bit vector squared, edges element by element.
// Included once a target, inside no namespace.
#if defined(FT_KERNELS_CPU_SIMD_MATRIX_TRANSPOSE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FT_KERNELS_CPU_SIMD_MATRIX_TRANSPOSE_INL_H_
#undef FT_KERNELS_CPU_SIMD_MATRIX_TRANSPOSE_INL_H_
#else
#define FT_KERNELS_CPU_SIMD_MATRIX_TRANSPOSE_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <bool kAdd, class T>
HWY_INLINE void put_element(T v, T* p) {
  *p = kAdd ? *p + v : v;
}

#if HWY_TARGET == HWY_SCALAR
template <bool kAdd, class T>
HWY_INLINE void transpose_square(const T* in, int64_t ld_in, T* out, int64_t ld_out) {
  constexpr int64_t kSide = 16 / sizeof(T);
  for (int64_t r = 0; r < kSide; ++r) {
    for (int64_t c = 0; c < kSide; ++c) put_element<kAdd>(in[r * ld_in + c], out + c * ld_out + r);
  }
}
#else
template <bool kAdd, class D>
HWY_INLINE void put_vector(D d, hn::Vec<D> v, hn::TFromD<D>* p) {
  if constexpr (kAdd) v = hn::Add(hn::LoadU(d, p), v);
  hn::StoreU(v, d, p);
}
template <bool kAdd>
HWY_INLINE void transpose_square(const float* in, int64_t ld_in, float* out, int64_t ld_out) {
  const hn::Full128<float> d;
  const auto r0 = hn::LoadU(d, in), r1 = hn::LoadU(d, in + ld_in);
  const auto r2 = hn::LoadU(d, in + 2 * ld_in), r3 = hn::LoadU(d, in + 3 * ld_in);
  const auto a = hn::InterleaveLower(d, r0, r2), b = hn::InterleaveLower(d, r1, r3);
  const auto e = hn::InterleaveUpper(d, r0, r2), f = hn::InterleaveUpper(d, r1, r3);
  put_vector<kAdd>(d, hn::InterleaveLower(d, a, b), out);
  put_vector<kAdd>(d, hn::InterleaveUpper(d, a, b), out + ld_out);
  put_vector<kAdd>(d, hn::InterleaveLower(d, e, f), out + 2 * ld_out);
  put_vector<kAdd>(d, hn::InterleaveUpper(d, e, f), out + 3 * ld_out);
}
template <bool kAdd>
HWY_INLINE void transpose_square(const double* in, int64_t ld_in, double* out, int64_t ld_out) {
  const hn::Full128<double> d;
  const auto r0 = hn::LoadU(d, in), r1 = hn::LoadU(d, in + ld_in);
  put_vector<kAdd>(d, hn::InterleaveLower(d, r0, r1), out);
  put_vector<kAdd>(d, hn::InterleaveUpper(d, r0, r1), out + ld_out);
}
#endif

/// out[c * ld_out + r] (+)= in[r * ld_in + c] for r < rows, c < cols.
template <bool kAdd, class T>
HWY_INLINE void transpose(const T* HWY_RESTRICT in, int64_t ld_in, int64_t rows, int64_t cols, T* HWY_RESTRICT out,
                          int64_t ld_out) {
  constexpr int64_t kSide = 16 / sizeof(T);
  const int64_t full_cols = cols / kSide * kSide;
  int64_t r = 0;
  for (; r + kSide <= rows; r += kSide) {
    for (int64_t c = 0; c < full_cols; c += kSide) {
      transpose_square<kAdd>(in + r * ld_in + c, ld_in, out + c * ld_out + r, ld_out);
    }
    for (int64_t c = full_cols; c < cols; ++c) {
      for (int64_t i = r; i < r + kSide; ++i) put_element<kAdd>(in[i * ld_in + c], out + c * ld_out + i);
    }
  }
  for (; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) put_element<kAdd>(in[r * ld_in + c], out + c * ld_out + r);
  }
}

}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
