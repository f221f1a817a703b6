// The register tile all matrix products share: M rows by NV vectors of sums, kept in registers while
//   c[i][j] += a[i] · b[j]     (a: scalars, broadcast; b: vectors)
// runs over the depth of a chunk. Every index is a constant of the expansion, never a loop variable:
// compilers keep an array in registers only then. M × NV ≤ 12 with 16 registers, 24 with 32: the taller the
// tile, the less often its vectors pass through L1. Included once a target, inside no namespace.
#if defined(FT_KERNELS_CPU_SIMD_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FT_KERNELS_CPU_SIMD_TILE_INL_H_
#undef FT_KERNELS_CPU_SIMD_TILE_INL_H_
#else
#define FT_KERNELS_CPU_SIMD_TILE_INL_H_
#endif

#include <hwy/highway.h>

#include <array>
#include <utility>

#include "kernels/cpu/simd/widen-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// What a tile looks like on this target: lanes of a vector, vectors of a panel of 16, and the most rows and
/// panels that one tile holds.
template <class T>
struct Shape {
  using D = hn::CappedTag<T, 16>;
  static constexpr int kLanes = static_cast<int>(hn::MaxLanes(D()));
  static constexpr int kPanelVectors = 16 / kLanes;
  static constexpr int kSums = HWY_TARGET <= HWY_AVX3 ? 24 : 12;
  static constexpr int kPanels = kPanelVectors == 1 ? 2 : 1;
  static constexpr int kVectors = kPanels * kPanelVectors;
  static constexpr int kRows = kSums / kVectors < 1 ? 1 : kSums / kVectors;
};

/// The vector operand at one step: vector J of a tile that spans panels of 16 lanes, `stride` elements apart.
template <class T, class S>
struct PanelColumn {
  const S* p;
  int64_t stride = 16;  // side by side
  template <int J>
  HWY_INLINE hn::Vec<typename Shape<T>::D> get() const {
    constexpr int kV = Shape<T>::kPanelVectors;
    return load_widened(typename Shape<T>::D(), p + (J / kV) * stride + (J % kV) * Shape<T>::kLanes);
  }
};

template <class T, int M, int NV>
struct Tile {
  using D = typename Shape<T>::D;
  using V = hn::Vec<D>;
  V c[M * NV];

  HWY_INLINE void zero() { zero(std::make_index_sequence<M * NV>()); }

  /// One step: row i takes the scalar a[i * stride].
  template <class B>
  HWY_INLINE void step(const T* a, int64_t stride, B b) {
    step(a, stride, b, std::make_index_sequence<M>(), std::make_index_sequence<NV>());
  }

  /// f.at<I, J>(sum) for every row I and vector J.
  template <class F>
  HWY_INLINE void each(F& f) const {
    each(f, std::make_index_sequence<M * NV>());
  }

 private:
  template <size_t... I>
  HWY_INLINE void zero(std::index_sequence<I...>) {
    ((c[I] = hn::Zero(D())), ...);
  }
  template <size_t... J>
  HWY_INLINE void row(V* HWY_RESTRICT sums, V x, const V* b, std::index_sequence<J...>) {
    ((sums[J] = hn::MulAdd(x, b[J], sums[J])), ...);
  }
  template <size_t... I>
  HWY_INLINE void column(V* HWY_RESTRICT sums, const V* x, V b, std::index_sequence<I...>) {
    ((sums[I * NV] = hn::MulAdd(x[I], b, sums[I * NV])), ...);
  }
  template <class B, size_t... I, size_t... J>
  HWY_INLINE void step(const T* a, int64_t stride, B load, std::index_sequence<I...> i,
                       std::index_sequence<J...> j) {
    // The side with fewer operands is held in registers, the other passes through one.
    if constexpr (NV <= M) {
      const V b[NV] = {load.template get<static_cast<int>(J)>()...};
      (row(c + I * NV, hn::Set(D(), a[static_cast<int64_t>(I) * stride]), b, j), ...);
    } else {
      const V x[M] = {hn::Set(D(), a[static_cast<int64_t>(I) * stride])...};
      (column(c + J, x, load.template get<static_cast<int>(J)>(), i), ...);
    }
  }
  template <class F, size_t... I>
  HWY_INLINE void each(F& f, std::index_sequence<I...>) const {
    (f.template at<static_cast<int>(I / NV), static_cast<int>(I % NV)>(c[I]), ...);
  }
};

}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
