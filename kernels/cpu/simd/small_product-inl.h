// A small dense product whose operands lie in L1: C [m, W] = start(C) + Σ_k A[·, k] B[k, ·], W one or two
// vectors.
//
// The register tile is 6 rows × 2 vectors: per k it loads B's two vectors, broadcasts six elements of A and
// does 12 multiply-adds, which saturates two FMA units. A is addressed by two strides, so it may be read
// transposed. Every element is one chain of multiply-adds in the order of k: its bits depend neither on m nor
// on W.
#if defined(FT_KERNELS_CPU_SIMD_SMALL_PRODUCT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FT_KERNELS_CPU_SIMD_SMALL_PRODUCT_INL_H_
#undef FT_KERNELS_CPU_SIMD_SMALL_PRODUCT_INL_H_
#else
#define FT_KERNELS_CPU_SIMD_SMALL_PRODUCT_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

enum class Start { zero, add, scale };  // C starts from nothing, from C, from C times a factor per column

/// One row of the register tile. Named members, not an array: the compiler keeps these in registers.
template <class T, int kVectors>
struct TileRow {
  using D = hn::ScalableTag<T>;
  using V = hn::Vec<D>;
  V v0, v1;

  HWY_INLINE void begin(Start start, const T* c, const T* factor) {
    const D d;
    v0 = v1 = hn::Zero(d);
    if (start == Start::zero) return;
    v0 = hn::LoadU(d, c);
    if constexpr (kVectors > 1) v1 = hn::LoadU(d, c + hn::Lanes(d));
    if (start == Start::add) return;
    v0 = hn::Mul(v0, hn::LoadU(d, factor));
    if constexpr (kVectors > 1) v1 = hn::Mul(v1, hn::LoadU(d, factor + hn::Lanes(d)));
  }
  HWY_INLINE void add(const T* a, V b0, V b1) {
    const V x = hn::Set(D(), *a);
    v0 = hn::MulAdd(x, b0, v0);
    if constexpr (kVectors > 1) v1 = hn::MulAdd(x, b1, v1);
  }
  HWY_INLINE void end(T* c) const {
    const D d;
    hn::StoreU(v0, d, c);
    if constexpr (kVectors > 1) hn::StoreU(v1, d, c + hn::Lanes(d));
  }
};

template <int kRows, int kVectors, class T>
HWY_INLINE void product_rows(Start start, int64_t depth, const T* a, int64_t a_row, int64_t a_step,
                             const T* b, int64_t ldb, T* c, int64_t ldc, const T* factor) {
  const hn::ScalableTag<T> d;
  TileRow<T, kVectors> r0, r1, r2, r3, r4, r5;
  r0.begin(start, c, factor);
  if constexpr (kRows > 1) r1.begin(start, c + ldc, factor);
  if constexpr (kRows > 2) r2.begin(start, c + 2 * ldc, factor);
  if constexpr (kRows > 3) r3.begin(start, c + 3 * ldc, factor);
  if constexpr (kRows > 4) r4.begin(start, c + 4 * ldc, factor);
  if constexpr (kRows > 5) r5.begin(start, c + 5 * ldc, factor);
  for (int64_t k = 0; k < depth; ++k, a += a_step, b += ldb) {
    const auto b0 = hn::LoadU(d, b);
    const auto b1 = kVectors > 1 ? hn::LoadU(d, b + hn::Lanes(d)) : b0;
    r0.add(a, b0, b1);
    if constexpr (kRows > 1) r1.add(a + a_row, b0, b1);
    if constexpr (kRows > 2) r2.add(a + 2 * a_row, b0, b1);
    if constexpr (kRows > 3) r3.add(a + 3 * a_row, b0, b1);
    if constexpr (kRows > 4) r4.add(a + 4 * a_row, b0, b1);
    if constexpr (kRows > 5) r5.add(a + 5 * a_row, b0, b1);
  }
  r0.end(c);
  if constexpr (kRows > 1) r1.end(c + ldc);
  if constexpr (kRows > 2) r2.end(c + 2 * ldc);
  if constexpr (kRows > 3) r3.end(c + 3 * ldc);
  if constexpr (kRows > 4) r4.end(c + 4 * ldc);
  if constexpr (kRows > 5) r5.end(c + 5 * ldc);
}

/// C [rows, kVectors·lanes] (row stride ldc) = start(C) + A B; A(r, k) = a[r·a_row + k·a_step], B's row
/// stride ldb. `factor` [kVectors·lanes] is read when start is Start::scale.
template <int kVectors, class T>
void small_product(Start start, int64_t rows, int64_t depth, const T* a, int64_t a_row, int64_t a_step,
                   const T* b, int64_t ldb, T* c, int64_t ldc, const T* factor = nullptr) {
  for (; rows >= 6; rows -= 6, a += 6 * a_row, c += 6 * ldc)
    product_rows<6, kVectors>(start, depth, a, a_row, a_step, b, ldb, c, ldc, factor);
  switch (rows) {
    case 1:
      return product_rows<1, kVectors>(start, depth, a, a_row, a_step, b, ldb, c, ldc, factor);
    case 2:
      return product_rows<2, kVectors>(start, depth, a, a_row, a_step, b, ldb, c, ldc, factor);
    case 3:
      return product_rows<3, kVectors>(start, depth, a, a_row, a_step, b, ldb, c, ldc, factor);
    case 4:
      return product_rows<4, kVectors>(start, depth, a, a_row, a_step, b, ldb, c, ldc, factor);
    case 5:
      return product_rows<5, kVectors>(start, depth, a, a_row, a_step, b, ldb, c, ldc, factor);
    default:
      return;
  }
}

}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
