// One register tile of y = x Wᵀ over one chunk of K, from W as it is stored to rows of y
// (kernels/cpu/matmul.cpp). Included once a target, inside no namespace.
#if defined(FT_KERNELS_CPU_SIMD_FORWARD_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FT_KERNELS_CPU_SIMD_FORWARD_TILE_INL_H_
#undef FT_KERNELS_CPU_SIMD_FORWARD_TILE_INL_H_
#else
#define FT_KERNELS_CPU_SIMD_FORWARD_TILE_INL_H_
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "engine/ops/matmul.h"
#include "kernels/cpu/simd/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Where a tile's sums go: rows of y from column 0 of the tile, `cols` of them real. They are added to
/// `start`: null for nothing, y itself, or the bias (row stride 0).
template <class T>
struct Target {
  T* y;
  int64_t ldy, cols;
  const T* start;
  int64_t ld_start;
};

template <class T, bool kStart>
struct PutRows {
  T* y;
  int64_t ldy;
  const T* start;
  int64_t ld_start;
  template <int I, int J>
  HWY_INLINE void at(hn::Vec<typename Shape<T>::D> c) {
    const typename Shape<T>::D d;
    constexpr int kAt = J * Shape<T>::kLanes;
    if constexpr (kStart) c = hn::Add(hn::LoadU(d, start + I * ld_start + kAt), c);
    hn::StoreU(c, d, y + I * ldy + kAt);
  }
};

/// The last panel of an N that is no multiple of 16, from the tile's sums [rows][width] in memory. Padding
/// lanes hold zeros, or NaN where x is not finite; they are dropped here.
template <class T>
HWY_NOINLINE void put_partial(const T* sums, int64_t rows, int64_t width, const Target<T>& to) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < to.cols; ++j) {
      const T sum = sums[i * width + j];
      to.y[i * to.ldy + j] = to.start ? to.start[i * to.ld_start + j] + sum : sum;
    }
  }
}

/// Weights that will be read next: a tile asks for a few bytes more at each step, so that they come into L2
/// at an even pace while it computes.
struct Ahead {
  const void* p;
  int64_t step;  // bytes
};

/// The vector operand: panels of W, `panel` elements apart. With `wide`, what is widened is also stored
/// there, in panels `wide_panel` apart, for the tiles of other rows to read.
template <class T, class S>
struct Weights {
  const S* w;
  int64_t panel;
  T* wide = nullptr;
  int64_t wide_panel = 0;
};

template <class T, class S>
struct StoringColumn {
  const S* p;
  int64_t stride;
  T* wide;
  int64_t wide_stride;
  template <int J>
  HWY_INLINE hn::Vec<typename Shape<T>::D> get() const {
    constexpr int kV = Shape<T>::kPanelVectors;
    const typename Shape<T>::D d;
    const auto v = PanelColumn<T, S>{p, stride}.template get<J>();
    hn::StoreU(v, d, wide + (J / kV) * wide_stride + (J % kV) * Shape<T>::kLanes);
    return v;
  }
};

/// M rows of x by P panels of W, `depth` steps of k.
template <class T, class S, int M, int P, bool kStore>
HWY_NOINLINE void forward_tile(int64_t depth, const T* x, int64_t ldx, const Weights<T, S>& weights,
                               Ahead ahead, const Target<T>& to) {
  constexpr int kWidth = P * kPanelRows;
  Tile<T, M, P * Shape<T>::kPanelVectors> tile;
  tile.zero();
  for (int i = 0; i < M; ++i) hwy::Prefetch(to.y + i * to.ldy);
  const S* w = weights.w;
  const int64_t panel = weights.panel, wide_panel = weights.wide_panel;
  T* wide = weights.wide;
  const char* next = static_cast<const char*>(ahead.p);
  for (int64_t k = 0; k < depth; ++k) {
    __builtin_prefetch(next, 0, 2);
    next += ahead.step;
    if constexpr (kStore) {
      tile.step(x + k, ldx, StoringColumn<T, S>{w, panel, wide, wide_panel});
      wide += kPanelRows;
    } else {
      tile.step(x + k, ldx, PanelColumn<T, S>{w, panel});
    }
    w += kPanelRows;
  }
  if (HWY_UNLIKELY(to.cols < kWidth)) {
    HWY_ALIGN T sums[M * kWidth];
    PutRows<T, false> put{sums, kWidth, nullptr, 0};
    tile.each(put);
    put_partial(sums, M, kWidth, to);
  } else if (to.start) {
    PutRows<T, true> put{to.y, to.ldy, to.start, to.ld_start};
    tile.each(put);
  } else {
    PutRows<T, false> put{to.y, to.ldy, nullptr, 0};
    tile.each(put);
  }
}

template <class T, class S>
using ForwardTile = void (*)(int64_t, const T*, int64_t, const Weights<T, S>&, Ahead, const Target<T>&);

/// Tiles of 1, 2, … rows.
template <class T, class S, int P, bool kStore, size_t... M>
constexpr std::array<ForwardTile<T, S>, sizeof...(M)> forward_tiles(std::index_sequence<M...>) {
  return {forward_tile<T, S, static_cast<int>(M) + 1, P, kStore>...};
}

}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
