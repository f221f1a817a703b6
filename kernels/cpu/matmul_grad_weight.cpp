// dW [N, K] += Σ over samples of dyᵀ x, dW in the packed layout (float32 or float64), padding untouched.
//
// Each sample's sum is formed by itself and then added:  dW + ((c₀ + c₁) + …),  cᵢ the sum over chunk i of
// the sample's tokens (matmul_shape.h), one chain of fused multiply-adds from zero in the order of the
// tokens. So the bits depend on the order of the samples, never on how they are grouped into calls.
//
// A tile is a few inputs k (broadcast from x) by one panel of 16 outputs (vectors of dy). A task owns a block
// of dW: per chunk of tokens it copies its columns of x as strips [tile][token][k] into L2, and panel by
// panel of dy into L1; dW goes through the cache once a sample.
#include "engine/ops/matmul.h"

#include <cstring>

#include "kernels/cpu/matmul_shape.h"
#include "kernels/cpu/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/matmul_grad_weight.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <hwy/cache_control.h>

#include "kernels/cpu/simd/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {
namespace {

// A task's block of dW: wide enough both ways that copying its operands is a few percent of the work.
constexpr int64_t kBlockPanels = 16, kBlockInputs = 192;

/// Where a tile's chunk goes: `dw` when it is the sample's last, else the block's `sums`; both are rows of 16
/// per k, with a stride between panels. `lanes`: outputs of the tile that exist.
template <class T>
struct WeightTarget {
  T *dw, *sums;
  int64_t dw_panel, sums_panel, lanes;
  bool first, last;
};

template <class T, bool kMask>
struct PutWeight {
  const WeightTarget<T>& to;
  template <int I, int J>
  HWY_INLINE void at(hn::Vec<typename Shape<T>::D> c) {
    constexpr int kV = Shape<T>::kPanelVectors, kLanes = Shape<T>::kLanes;
    constexpr int64_t kAt = I * kPanelRows + J % kV * kLanes;
    const typename Shape<T>::D d;
    T* sum = to.sums + J / kV * to.sums_panel + kAt;
    T* dw = to.dw + J / kV * to.dw_panel + kAt;
    if constexpr (kMask) {
      const int64_t left = std::clamp<int64_t>(to.lanes - J * kLanes, 0, kLanes);
      c = hn::IfThenElseZero(hn::FirstN(d, static_cast<size_t>(left)), c);
    }
    if (!to.first) c = hn::Add(hn::LoadU(d, sum), c);
    if (to.last)
      hn::StoreU(hn::Add(hn::LoadU(d, dw), c), d, dw);
    else
      hn::StoreU(c, d, sum);
  }
};

/// One tile over one chunk of tokens: `x` [depth][M], `dy` panels of [depth][16], `panel` elements apart.
template <class T, int M, int P>
HWY_NOINLINE void grad_weight_tile(int64_t depth, const T* x, const T* dy, int64_t panel,
                                   const WeightTarget<T>& to) {
  constexpr int NV = P * Shape<T>::kPanelVectors;
  Tile<T, M, NV> tile;
  tile.zero();
  T* out = to.last ? to.dw : to.sums;  // far away; needed when the sums are ready
  for (int p = 0; p < P; ++p) {
    for (int i = 0; i < M; ++i)
      hwy::Prefetch(out + p * (to.last ? to.dw_panel : to.sums_panel) + i * kPanelRows);
  }
  for (int64_t t = 0; t < depth; ++t) tile.step(x + t * M, 1, PanelColumn<T, T>{dy + t * kPanelRows, panel});
  if (to.lanes >= P * kPanelRows) {
    PutWeight<T, false> put{to};
    tile.each(put);
  } else {
    PutWeight<T, true> put{to};
    tile.each(put);
  }
}

template <class T>
using GradWeightTile = void (*)(int64_t, const T*, const T*, int64_t, const WeightTarget<T>&);

template <class T, int P, size_t... M>
constexpr std::array<GradWeightTile<T>, sizeof...(M)> grad_weight_tiles(std::index_sequence<M...>) {
  return {grad_weight_tile<T, static_cast<int>(M) + 1, P>...};
}

constexpr int64_t kCopyAhead = 4;  // rows asked for before their turn to be copied

/// Columns of x as strips, one a tile: strip i is [depth][length(i)], at out + begin(i) * depth.
template <class T>
void copy_strips(int64_t depth, const T* x, int64_t ldx, const TileRows& tiles, T* out) {
  constexpr int64_t kRows = Shape<T>::kRows;
  for (int64_t t = 0; t < depth; ++t) {
    const T* from = x + t * ldx;
    for (int64_t i = 0; i < tiles.count; ++i) {
      const int64_t rows = tiles.length(i);
      __builtin_prefetch(from + kCopyAhead * ldx);
      T* to = out + tiles.begin(i) * depth + t * rows;
      if (HWY_LIKELY(rows == kRows))
        std::memcpy(to, from, kRows * sizeof(T));
      else
        std::memcpy(to, from, static_cast<size_t>(rows) * sizeof(T));
      from += rows;
    }
  }
}

/// out[t][i] = dy[t][i] for i < lanes, zero up to 16. Asks for the lines of the panel that is copied `ahead`
/// elements further on: rows lie too far apart for the processor to guess them.
template <class T>
void copy_panel(int64_t depth, const T* dy, int64_t ldy, int64_t lanes, int64_t ahead, T* out) {
  if (lanes < kPanelRows) std::memset(out, 0, static_cast<size_t>(depth * kPanelRows) * sizeof(T));
  for (int64_t t = 0; t < depth; ++t) {
    __builtin_prefetch(dy + t * ldy + ahead, 0, 2);
    if (lanes == kPanelRows)
      std::memcpy(out + t * kPanelRows, dy + t * ldy, kPanelRows * sizeof(T));
    else
      std::memcpy(out + t * kPanelRows, dy + t * ldy, static_cast<size_t>(lanes) * sizeof(T));
  }
}

/// Inputs [k0, k0 + width) by panels [p0, p0 + panels), all samples.
template <class T>
void grad_weight_block(const MatmulGradWeightArgs<T>& a, int64_t k0, int64_t width, int64_t p0,
                       int64_t panels) {
  using Rows = std::make_index_sequence<Shape<T>::kRows>;
  constexpr int64_t kPanels = Shape<T>::kPanels;
  static constexpr auto kOne = grad_weight_tiles<T, 1>(Rows());
  static constexpr auto kAll = grad_weight_tiles<T, Shape<T>::kPanels>(Rows());
  const TileRows tiles(width, Shape<T>::kRows);
  const int64_t x_count = width * kMaxChunk, dy_count = kPanels * kMaxChunk * kPanelRows;
  const int64_t sums_count = panels * width * kPanelRows;
  Scratch scratch(Scratch::piece<T>(x_count) + Scratch::piece<T>(dy_count) + Scratch::piece<T>(sums_count));
  T* x = scratch.take<T>(x_count);
  T* dy = scratch.take<T>(dy_count);
  T* sums = scratch.take<T>(sums_count);
  for (int32_t s = 0; s < a.segments.count; ++s) {
    const int64_t begin = a.segments.bounds[s], end = a.segments.bounds[s + 1],
                  chunk = chunk_length(end - begin);
    for (int64_t t = begin; t < end; t += chunk) {
      const int64_t depth = std::min(chunk, end - t);
      copy_strips(depth, a.x + t * a.ldx + k0, a.ldx, tiles, x);
      for (int64_t p = p0; p < p0 + panels;) {
        const int64_t now = p0 + panels - p >= kPanels ? kPanels : 1, n = p * kPanelRows;
        for (int64_t q = 0; q < now; ++q) {
          const int64_t at = n + q * kPanelRows;
          copy_panel(depth, a.dy + t * a.ldy + at, a.ldy, std::min(kPanelRows, a.rows - at), now * kPanelRows,
                     dy + q * depth * kPanelRows);
        }
        WeightTarget<T> to{nullptr,
                           nullptr,
                           a.cols * kPanelRows,
                           width * kPanelRows,
                           std::min(a.rows - n, now * kPanelRows),
                           t == begin,
                           t + chunk >= end};
        for (int64_t i = 0; i < tiles.count; ++i) {
          to.dw = a.dw + packed_index(n, k0 + tiles.begin(i), a.cols);
          to.sums = sums + ((p - p0) * width + tiles.begin(i)) * kPanelRows;
          (now == 1 ? kOne : kAll)[tiles.length(i) - 1](depth, x + tiles.begin(i) * depth, dy,
                                                        depth * kPanelRows, to);
        }
        p += now;
      }
    }
  }
}

template <class T>
void grad_weight(CpuStream& stream, const MatmulGradWeightArgs<T>& a) {
  const int64_t tasks =
      useful_tasks(static_cast<double>(a.segments.tokens()) * static_cast<double>(a.rows * a.cols));
  const Cut panels = cut_by(ceil_div(a.rows, kPanelRows), kBlockPanels, Shape<T>::kPanels);
  const int64_t parts = parts_beside(panels.count, tasks, a.cols, kBlockInputs / 3, kBlockInputs);
  const Cut inputs = cut_into(a.cols, parts, Shape<T>::kRows);
  stream.parallel(inputs.count * panels.count, [&](int64_t task) {
    const int64_t k = task % inputs.count, p = task / inputs.count;
    grad_weight_block(a, inputs.begin(k), inputs.length(k), panels.begin(p), panels.length(p));
  });
}

void matmul_grad_weight_f32(CpuStream& stream, const MatmulGradWeightArgs<float>& a) {
  grad_weight(stream, a);
}
void matmul_grad_weight_f64(CpuStream& stream, const MatmulGradWeightArgs<double>& a) {
  grad_weight(stream, a);
}

}  // namespace
}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ft {
namespace {

HWY_EXPORT(matmul_grad_weight_f32);
HWY_EXPORT(matmul_grad_weight_f64);

/// False where there is nothing to do.
template <class T>
bool check(const MatmulGradWeightArgs<T>& a) {
  FT_CHECK(a.rows >= 0 && a.cols >= 0, "[matmul_grad_weight] expected N, K >= 0, got {}, {}", a.rows, a.cols);
  if (a.segments.tokens() == 0 || a.rows == 0 || a.cols == 0) return false;
  FT_CHECK(a.ldx >= a.cols && a.ldy >= a.rows,
           "[matmul_grad_weight] expected strides of at least {} and {}, got {} and {}", a.cols, a.rows,
           a.ldx, a.ldy);
  return true;
}

}  // namespace

void matmul_grad_weight(CpuStream& stream, const MatmulGradWeightArgs<float>& a) {
  if (check(a)) HWY_DYNAMIC_DISPATCH(matmul_grad_weight_f32)(stream, a);
}
void matmul_grad_weight(CpuStream& stream, const MatmulGradWeightArgs<double>& a) {
  if (check(a)) HWY_DYNAMIC_DISPATCH(matmul_grad_weight_f64)(stream, a);
}

}  // namespace ft
#endif
