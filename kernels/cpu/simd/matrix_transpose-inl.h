// out[c][r] (+)= in[r][c], in blocks of one to four squares of 128-bit vectors, edges element by element.
// Included once a target, inside no namespace.
#if defined(FT_KERNELS_CPU_SIMD_MATRIX_TRANSPOSE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FT_KERNELS_CPU_SIMD_MATRIX_TRANSPOSE_INL_H_
#undef FT_KERNELS_CPU_SIMD_MATRIX_TRANSPOSE_INL_H_
#else
#define FT_KERNELS_CPU_SIMD_MATRIX_TRANSPOSE_INL_H_
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR
/// Rows and columns of one block.
template <class T>
struct Block {
  static constexpr int64_t kRows = 1, kCols = 1;
};
template <bool kAdd, class T>
HWY_INLINE void transpose_block(const T* in, int64_t, T* out, int64_t) {
  *out = kAdd ? *out + *in : *in;
}
#else
template <class T>
struct Block {
  using D = hn::CappedTag<T, 64 / sizeof(T)>;  // one, two or four 128-bit parts
  static constexpr int64_t kCols = 16 / sizeof(T), kRows = static_cast<int64_t>(hn::MaxLanes(D()));
};

/// `in` and, where a vector of D has more parts, the rows kCols, 2 kCols and 3 kCols further down.
template <class D, class T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> load_rows(D d, const T* in, int64_t ld) {
  constexpr int64_t kParts = hn::MaxLanes(D()) * sizeof(T) / 16;
  if constexpr (kParts > 1) {
    const hn::Half<D> half;
    const auto high = load_rows(half, in + kParts / 2 * Block<T>::kCols * ld, ld);
    return hn::Combine(d, high, load_rows(half, in, ld));
  } else {
    return hn::LoadU(d, in);
  }
}
template <bool kAdd, class D>
HWY_INLINE void put_vector(D d, hn::Vec<D> v, hn::TFromD<D>* p) {
  if constexpr (kAdd) v = hn::Add(hn::LoadU(d, p), v);
  hn::StoreU(v, d, p);
}
template <bool kAdd>
HWY_INLINE void transpose_block(const float* in, int64_t ld_in, float* out, int64_t ld_out) {
  const Block<float>::D d;
  const auto r0 = load_rows(d, in, ld_in), r1 = load_rows(d, in + ld_in, ld_in);
  const auto r2 = load_rows(d, in + 2 * ld_in, ld_in), r3 = load_rows(d, in + 3 * ld_in, ld_in);
  const auto a = hn::InterleaveLower(d, r0, r2), b = hn::InterleaveLower(d, r1, r3);
  const auto e = hn::InterleaveUpper(d, r0, r2), f = hn::InterleaveUpper(d, r1, r3);
  put_vector<kAdd>(d, hn::InterleaveLower(d, a, b), out);
  put_vector<kAdd>(d, hn::InterleaveUpper(d, a, b), out + ld_out);
  put_vector<kAdd>(d, hn::InterleaveLower(d, e, f), out + 2 * ld_out);
  put_vector<kAdd>(d, hn::InterleaveUpper(d, e, f), out + 3 * ld_out);
}
template <bool kAdd>
HWY_INLINE void transpose_block(const double* in, int64_t ld_in, double* out, int64_t ld_out) {
  const Block<double>::D d;
  const auto r0 = load_rows(d, in, ld_in), r1 = load_rows(d, in + ld_in, ld_in);
  put_vector<kAdd>(d, hn::InterleaveLower(d, r0, r1), out);
  put_vector<kAdd>(d, hn::InterleaveUpper(d, r0, r1), out + ld_out);
}
#endif

/// out[c * ld_out + r] (+)= in[r * ld_in + c] for r < rows, c < cols. 16 rows at a time, so that each pass
/// fills whole lines of `out` and what it reads stays in L1; the lines of `in` are asked for ahead, since
/// every row is a stream of its own.
template <bool kAdd, class T>
HWY_INLINE void transpose(const T* HWY_RESTRICT in, int64_t ld_in, int64_t rows, int64_t cols,
                          T* HWY_RESTRICT out, int64_t ld_out) {
  constexpr int64_t kBand = 16, kLine = 64 / sizeof(T);
  const int64_t full_cols = cols / Block<T>::kCols * Block<T>::kCols;
  for (int64_t r0 = 0; r0 < rows; r0 += kBand) {
    const int64_t end = std::min(r0 + kBand, rows),
                  full_end = r0 + (end - r0) / Block<T>::kRows * Block<T>::kRows;
    for (int64_t c = 0; c < full_cols; c += Block<T>::kCols) {
      if (c % kLine == 0) {
        for (int64_t r = r0; r < end; ++r) hwy::Prefetch(in + r * ld_in + c + 3 * kLine);
      }
      for (int64_t r = r0; r < full_end; r += Block<T>::kRows) {
        transpose_block<kAdd>(in + r * ld_in + c, ld_in, out + c * ld_out + r, ld_out);
      }
    }
    for (int64_t c = 0; c < cols; ++c) {
      for (int64_t r = c < full_cols ? full_end : r0; r < end; ++r) {
        T* p = out + c * ld_out + r;
        *p = kAdd ? *p + in[r * ld_in + c] : in[r * ld_in + c];
      }
    }
  }
}

}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
