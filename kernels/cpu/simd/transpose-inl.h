// Turns rows into columns and back, in 128-bit blocks (4 × 4 floats, 2 × 2 doubles); edges element by
// element.
#if defined(FT_KERNELS_CPU_SIMD_TRANSPOSE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FT_KERNELS_CPU_SIMD_TRANSPOSE_INL_H_
#undef FT_KERNELS_CPU_SIMD_TRANSPOSE_INL_H_
#else
#define FT_KERNELS_CPU_SIMD_TRANSPOSE_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR  // no vectors: a block is one element
template <class T>
constexpr int64_t kBlockEdge = 1;

template <class In, class Out, class T>
HWY_INLINE void transpose_block(In in, Out out, T factor) {
  *out(0) = *in(0) * factor;
}
#else
/// Block edge: elements of 128 bits.
template <class T>
constexpr int64_t kBlockEdge = 16 / sizeof(T);

/// out[c][r] = in[r][c] · factor for one block; in and out give the pointers of their rows.
template <class In, class Out>
HWY_INLINE void transpose_block(In in, Out out, float factor) {
  const hn::FixedTag<float, 4> d;
  const auto f = hn::Set(d, factor);
  const auto v0 = hn::Mul(hn::LoadU(d, in(0)), f), v1 = hn::Mul(hn::LoadU(d, in(1)), f);
  const auto v2 = hn::Mul(hn::LoadU(d, in(2)), f), v3 = hn::Mul(hn::LoadU(d, in(3)), f);
  const auto even_low = hn::InterleaveLower(d, v0, v2), odd_low = hn::InterleaveLower(d, v1, v3);
  const auto even_high = hn::InterleaveUpper(d, v0, v2), odd_high = hn::InterleaveUpper(d, v1, v3);
  hn::StoreU(hn::InterleaveLower(d, even_low, odd_low), d, out(0));
  hn::StoreU(hn::InterleaveUpper(d, even_low, odd_low), d, out(1));
  hn::StoreU(hn::InterleaveLower(d, even_high, odd_high), d, out(2));
  hn::StoreU(hn::InterleaveUpper(d, even_high, odd_high), d, out(3));
}
template <class In, class Out>
HWY_INLINE void transpose_block(In in, Out out, double factor) {
  const hn::FixedTag<double, 2> d;
  const auto f = hn::Set(d, factor);
  const auto v0 = hn::Mul(hn::LoadU(d, in(0)), f), v1 = hn::Mul(hn::LoadU(d, in(1)), f);
  hn::StoreU(hn::InterleaveLower(d, v0, v1), d, out(0));
  hn::StoreU(hn::InterleaveUpper(d, v0, v1), d, out(1));
}
#endif

template <class P>
struct RowPointers {  // rows anywhere
  P* const* rows;
  int64_t row, column;
  HWY_INLINE P* operator()(int64_t r) const { return rows[row + r] + column; }
};
template <class P>
struct StridedRows {  // rows of one matrix
  P* p;
  int64_t ld;
  HWY_INLINE P* operator()(int64_t r) const { return p + r * ld; }
};

/// out[c·ld + r] = rows[r][c] · factor, r < count, c < cols.
template <class T>
HWY_NOINLINE void rows_to_columns(const T* const* rows, int64_t count, int64_t cols, T factor, T* out,
                                  int64_t ld) {
  constexpr int64_t e = kBlockEdge<T>;
  int64_t r = 0;
  for (; r + e <= count; r += e) {
    int64_t c = 0;
    for (; c + e <= cols; c += e)
      transpose_block(RowPointers<const T>{rows, r, c}, StridedRows<T>{out + c * ld + r, ld}, factor);
    for (; c < cols; ++c)
      for (int64_t i = r; i < r + e; ++i) out[c * ld + i] = rows[i][c] * factor;
  }
  for (; r < count; ++r)
    for (int64_t c = 0; c < cols; ++c) out[c * ld + r] = rows[r][c] * factor;
}

/// rows[r][c] = in[c·ld + r] · factor, r < count, c < cols.
template <class T>
HWY_NOINLINE void columns_to_rows(const T* in, int64_t ld, int64_t count, int64_t cols, T factor,
                                  T* const* rows) {
  constexpr int64_t e = kBlockEdge<T>;
  int64_t r = 0;
  for (; r + e <= count; r += e) {
    int64_t c = 0;
    for (; c + e <= cols; c += e)
      transpose_block(StridedRows<const T>{in + c * ld + r, ld}, RowPointers<T>{rows, r, c}, factor);
    for (; c < cols; ++c)
      for (int64_t i = r; i < r + e; ++i) rows[i][c] = in[c * ld + i] * factor;
  }
  for (; r < count; ++r)
    for (int64_t c = 0; c < cols; ++c) rows[r][c] = in[c * ld + r] * factor;
}

}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
