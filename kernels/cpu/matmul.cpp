// y [T, N] (+)= x [T, K] Wᵀ + b, W packed in panels of 16 outputs (engine/ops/matmul.h).
//
// An element of y is  ((start + c₀) + c₁) + …  with start = 0, the old y (accumulate), b, or old y + b, and cᵢ
// the sum over chunk i of K (matmul_shape.h): one chain of fused multiply-adds from zero, in the order of k. Both paths
// below compute exactly this, so the number of rows never shows in the bits.
//
//   many rows  block of x rows × chunk of K copied into L2; a panel's chunk (widened if stored narrow) stays in L1 while
//              the tiles of rows run over it: W is read once a block of rows.
//   few rows   (generation) W is streamed once, straight from its storage type into registers; several panels in
//              flight hide the latency of the multiply-add. Bound by reading W.
#include "engine/ops/matmul.h"

#include <cstring>

#include "kernels/cpu/matmul_shape.h"
#include "kernels/cpu/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/matmul.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <hwy/cache_control.h>

#include "kernels/cpu/simd/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {

/// Where a tile's sums go: rows of y from column 0 of the tile, `cols` of them real.
template <class T>
struct Target {
  T* y;
  int64_t ldy, cols;
  bool old;       // add to what y holds
  const T* bias;  // added to the start of the sum, or null
};

template <class T, bool kOld, bool kBias>
struct PutRows {
  T* y;
  int64_t ldy;
  const T* bias;
  template <int I, int J>
  HWY_INLINE void at(hn::Vec<typename Shape<T>::D> c) {
    const typename Shape<T>::D d;
    constexpr int kAt = J * Shape<T>::kLanes;
    T* p = y + I * ldy + kAt;
    if constexpr (kOld && kBias) c = hn::Add(hn::Add(hn::LoadU(d, p), hn::LoadU(d, bias + kAt)), c);
    else if constexpr (kOld) c = hn::Add(hn::LoadU(d, p), c);
    else if constexpr (kBias) c = hn::Add(hn::LoadU(d, bias + kAt), c);
    hn::StoreU(c, d, p);
  }
};

template <class T, int M, int NV>
HWY_INLINE void put_full(const Tile<T, M, NV>& tile, const Target<T>& to) {
  const auto put = [&]<bool kOld, bool kBias>() HWY_ATTR {
    PutRows<T, kOld, kBias> f{to.y, to.ldy, to.bias};
    tile.each(f);
  };
  if (to.bias) to.old ? put.template operator()<true, true>() : put.template operator()<false, true>();
  else to.old ? put.template operator()<true, false>() : put.template operator()<false, false>();
}

/// The last panel of an N that is no multiple of 16: by way of a buffer, so that padding never reaches y. `sums`
/// [rows][width]. Padding lanes hold zeros, or NaN where x has no finite value; they are dropped here.
template <class T>
HWY_NOINLINE void put_partial(const T* sums, int64_t rows, int64_t width, const Target<T>& to) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < to.cols; ++j) {
      T& y = to.y[i * to.ldy + j];
      T v = sums[i * width + j];
      if (to.old && to.bias) v = (y + to.bias[j]) + v;
      else if (to.old) v = y + v;
      else if (to.bias) v = to.bias[j] + v;
      y = v;
    }
  }
}

/// Weights that will be read next: a tile asks for a few bytes more at each step, so that they come into L2 at an even
/// pace while it computes.
struct Ahead {
  const void* p;
  int64_t step;  // bytes
};

/// One tile over one chunk: M rows of x by P panels of w, `panel` elements apart.
template <class T, class S, int M, int P>
HWY_NOINLINE void forward_tile(int64_t depth, const T* x, int64_t ldx, const S* w, int64_t panel, Ahead ahead,
                               const Target<T>& to) {
  constexpr int NV = P * Shape<T>::kPanelVectors, kWidth = P * kPanelRows;
  Tile<T, M, NV> tile;
  tile.zero();
  for (int i = 0; i < M; ++i) hwy::Prefetch(to.y + i * to.ldy);
  const char* next = static_cast<const char*>(ahead.p);
  for (int64_t k = 0; k < depth; ++k) {
    __builtin_prefetch(next, 0, 2);
    next += ahead.step;
    tile.step(x + k, ldx, PanelColumn<T, S>{w + k * kPanelRows, panel});
  }
  if (HWY_LIKELY(to.cols >= kWidth)) {
    put_full(tile, to);
  } else {
    HWY_ALIGN T sums[M * kWidth];
    PutRows<T, false, false> put{sums, kWidth, nullptr};
    tile.each(put);
    put_partial(sums, M, kWidth, to);
  }
}

template <class T, class S>
using ForwardTile = void (*)(int64_t, const T*, int64_t, const S*, int64_t, Ahead, const Target<T>&);

template <class T, class S, int P, size_t... M>
constexpr std::array<ForwardTile<T, S>, sizeof...(M)> forward_tiles(std::index_sequence<M...>) {
  return {forward_tile<T, S, static_cast<int>(M) + 1, P>...};
}

// ---- many rows ----

template <class T>
HWY_INLINE void forward_rows(const MatmulArgs<T>& a, int64_t depth, bool first, const TileRows& rows, const T* x,
                             int64_t ldx, const T* w, int64_t panel, int panels, Ahead ahead, T* y, int64_t n) {
  using Rows = std::make_index_sequence<Shape<T>::kRows>;
  static constexpr auto kOne = forward_tiles<T, T, 1>(Rows());
  static constexpr auto kAll = forward_tiles<T, T, Shape<T>::kPanels>(Rows());
  const auto& tiles = panels == 1 ? kOne : kAll;
  Target<T> to{y, a.ldy, std::min(a.w.rows - n, panels * kPanelRows), !first || a.accumulate,
               first && a.bias ? a.bias + n : nullptr};
  for (int64_t i = 0; i < rows.count; ++i) {
    const int64_t row = rows.begin(i);
    to.y = y + row * a.ldy;
    tiles[rows.length(i) - 1](depth, x + row * ldx, ldx, w, panel, ahead, to);
    ahead.p = static_cast<const char*>(ahead.p) + depth * ahead.step;
  }
}

/// Rows [row, row + count) by panels [p0, p0 + panels).
template <class T, class S>
void forward_block(const MatmulArgs<T>& a, int64_t row, int64_t count, int64_t p0, int64_t panels) {
  constexpr int64_t kPanels = Shape<T>::kPanels;
  const int64_t K = a.w.cols, chunk = chunk_length(K);
  const TileRows rows(count, Shape<T>::kRows);
  const int64_t x_count = count * chunk, wide_count = std::is_same_v<S, T> ? 0 : kPanels * chunk * kPanelRows;
  Scratch scratch(Scratch::piece<T>(x_count) + Scratch::piece<T>(wide_count));
  T* x = scratch.take<T>(x_count);
  T* wide = scratch.take<T>(wide_count);
  for (int64_t k = 0; k < K; k += chunk) {
    const int64_t depth = std::min(chunk, K - k);
    x = const_cast<T*>(a.x + row * a.ldx + k);
    for (int64_t p = p0; p < p0 + panels; p += kPanels) {
      const int now = static_cast<int>(std::min(kPanels, p0 + panels - p));
      const S* w = static_cast<const S*>(a.w.data) + packed_index(p * kPanelRows, k, K);
      T* y = a.y + row * a.ldy + p * kPanelRows;
      const Ahead ahead = {p + kPanels < p0 + panels ? w + kPanels * K * kPanelRows : w, kPanelRows * int64_t{sizeof(S)} / rows.count + 1};
      if constexpr (std::is_same_v<S, T>) {
        forward_rows(a, depth, k == 0, rows, x, a.ldx, w, K * kPanelRows, now, ahead, y, p * kPanelRows);
      } else {
        for (int i = 0; i < now; ++i) {
          widen(w + i * K * kPanelRows, depth * kPanelRows, wide + i * chunk * kPanelRows);
        }
        forward_rows<T>(a, depth, k == 0, rows, x, chunk, wide, chunk * kPanelRows, now, ahead, y, p * kPanelRows);
      }
    }
  }
}

template <class T, class S>
void forward_many(CpuStream& stream, const MatmulArgs<T>& a) {
  const int64_t N = a.w.rows, K = a.w.cols;
  const Cut rows = cut_by(a.tokens, 96, Shape<T>::kRows);
  const int64_t tasks = useful_tasks(1.0 * static_cast<double>(a.tokens) * static_cast<double>(N * K));
  const int64_t all = ceil_div(N, kPanelRows);
  const Cut panels = cut_into(all, std::min(ceil_div(tasks, rows.count), ceil_div(all, 6)), Shape<T>::kPanels);
  stream.parallel(rows.count * panels.count, [&](int64_t task) {
    const int64_t r = task % rows.count, p = task / rows.count;
    forward_block<T, S>(a, rows.begin(r), rows.length(r), panels.begin(p), panels.length(p));
  });
}

// ---- few rows ----

constexpr int64_t kFewRows = 6;

/// Panels in flight for M rows: enough independent sums to hide the latency, not more than registers hold.
template <class T>
constexpr int few_panels(int rows) {
  const int p = Shape<T>::kSums / (rows * Shape<T>::kPanelVectors);
  return p < 1 ? 1 : p > 6 ? 6 : p;
}

template <class T, class S, int M>
void few_panels_range(const MatmulArgs<T>& a, int64_t p0, int64_t end) {
  constexpr int P = few_panels<T>(M);
  const int64_t K = a.w.cols, chunk = chunk_length(K), panel = K * kPanelRows;
  for (int64_t p = p0; p < end;) {
    const bool all = end - p >= P;
    const int64_t n = p * kPanelRows;
    const S* w = static_cast<const S*>(a.w.data) + p * panel;
    for (int64_t k = 0; k < K; k += chunk) {
      const Target<T> to{a.y + n, a.ldy, std::min(a.w.rows - n, (all ? P : 1) * kPanelRows), k > 0 || a.accumulate,
                         k == 0 && a.bias ? a.bias + n : nullptr};
      const auto tile = all ? forward_tile<T, S, M, P> : forward_tile<T, S, M, 1>;
      tile(std::min(chunk, K - k), a.x + k, a.ldx, w + k * kPanelRows, panel, Ahead{w, 0}, to);
    }
    p += all ? P : 1;
  }
}

template <class T, class S, size_t... M>
void forward_few(CpuStream& stream, const MatmulArgs<T>& a, std::index_sequence<M...>) {
  using Range = void (*)(const MatmulArgs<T>&, int64_t, int64_t);
  static constexpr Range kRange[] = {few_panels_range<T, S, static_cast<int>(M) + 1>...};
  const int64_t N = a.w.rows, K = a.w.cols, all = ceil_div(N, kPanelRows);
  const int64_t bytes = N * K * static_cast<int64_t>(sizeof(S));
  const Cut panels = cut_into(all, std::clamp<int64_t>(bytes >> 17, 1, 64), 12);  // 128 KB: some 10 µs to read
  stream.parallel(panels.count, [&](int64_t task) {
    const int64_t p = panels.begin(task);
    kRange[a.tokens - 1](a, p, p + panels.length(task));
  });
}

template <class T, class S>
void forward(CpuStream& stream, const MatmulArgs<T>& a) {
  if (a.tokens <= kFewRows) forward_few<T, S>(stream, a, std::make_index_sequence<kFewRows>());
  else forward_many<T, S>(stream, a);
}

template <class T>
void forward(CpuStream& stream, const MatmulArgs<T>& a) {
  switch (a.w.dtype) {
    case DType::f32: return forward<T, float>(stream, a);
    case DType::bf16: return forward<T, BF16>(stream, a);
    case DType::f16: return forward<T, F16>(stream, a);
    case DType::f64:
      if constexpr (std::is_same_v<T, double>) return forward<T, double>(stream, a);
      [[fallthrough]];
    default: fail("[matmul] expected weights no wider than the compute type, got {}", dtype_name(a.w.dtype));
  }
}

void matmul_f32(CpuStream& stream, const MatmulArgs<float>& a) { forward(stream, a); }
void matmul_f64(CpuStream& stream, const MatmulArgs<double>& a) { forward(stream, a); }

}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ft {
namespace {

HWY_EXPORT(matmul_f32);
HWY_EXPORT(matmul_f64);

/// False where there is nothing to do.
template <class T>
bool check(const MatmulArgs<T>& a) {
  FT_CHECK(a.tokens >= 0 && a.w.rows >= 0 && a.w.cols > 0, "[matmul] expected T, N >= 0 and K > 0, got {}, {}, {}", a.tokens,
           a.w.rows, a.w.cols);
  if (a.tokens == 0 || a.w.rows == 0) return false;
  FT_CHECK(a.ldx >= a.w.cols && a.ldy >= a.w.rows, "[matmul] expected strides of at least {} and {}, got {} and {}",
           a.w.cols, a.w.rows, a.ldx, a.ldy);
  return true;
}

}  // namespace

void matmul(CpuStream& stream, const MatmulArgs<float>& a) {
  if (check(a)) HWY_DYNAMIC_DISPATCH(matmul_f32)(stream, a);
}
void matmul(CpuStream& stream, const MatmulArgs<double>& a) {
  if (check(a)) HWY_DYNAMIC_DISPATCH(matmul_f64)(stream, a);
}

}  // namespace ft
#endif
