// y [T, N] (+)= x [T, K] Wᵀ + b, W packed in panels of 16 outputs (engine/ops/matmul.h).
//
// An element of y is  ((start + c₀) + c₁) + …  with start = 0, the old y (accumulate), b, or old y + b, and
// cᵢ the sum over chunk i of K (matmul_shape.h): one chain of fused multiply-adds from zero, in the order of
// k. Both paths below compute exactly this, so the number of rows never shows in the bits.
//
// Many rows: a panel's chunk of W stays in L1 (widened there by the first tile, if stored narrow) while the
// tiles of a block of rows run over it; x is read in place. W is read once a block.
//
// Few rows (generation): W is streamed once, from its storage type into registers. Several panels in flight
// hide the latency of the multiply-add and keep several of the processor's prefetchers busy: bound by
// reading W.
#include "kernels/cpu/matmul_shape.h"
#include "kernels/cpu/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/matmul.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/simd/forward_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {
namespace {

/// Where the sums of chunk k go, and what they are added to: rows from `row` on, `panels` panels from output
/// n on.
template <class T>
HWY_INLINE Target<T> target(const MatmulArgs<T>& a, int64_t row, int64_t n, int64_t k, int64_t panels) {
  T* y = a.y + row * a.ldy + n;
  Target<T> to = {y, a.ldy, std::min(a.w.rows - n, panels * kPanelRows), y, a.ldy};
  if (k == 0 && !a.accumulate) {
    to.start = a.bias ? a.bias + n : nullptr;
    to.ld_start = 0;
  }
  return to;
}

/// Old y and a bias: adds the bias first, over outputs of panels [p, p + panels).
template <class T>
void prepare(const MatmulArgs<T>& a, int64_t row, int64_t count, int64_t p, int64_t panels) {
  if (!a.accumulate || !a.bias) return;
  const int64_t n = p * kPanelRows, end = std::min(a.w.rows, n + panels * kPanelRows);
  for (int64_t i = row; i < row + count; ++i) {
    for (int64_t j = n; j < end; ++j) a.y[i * a.ldy + j] += a.bias[j];
  }
}

// ---- many rows ----

constexpr int64_t kBlockRows = 132;  // a block's chunk of x, 152 KB, shares L2 with W's panels on their way
constexpr int64_t kTaskPanels = 6;   // at least

/// Rows [row, row + count) by panels [p0, p0 + panels).
template <class T, class S>
void forward_block(const MatmulArgs<T>& a, int64_t row, int64_t count, int64_t p0, int64_t panels) {
  using Rows = std::make_index_sequence<Shape<T>::kRows>;
  constexpr int64_t kPanels = Shape<T>::kPanels;
  constexpr bool kNarrow = !std::is_same_v<S, T>;
  // Widening on the way is worth its tiles for float32 arithmetic only.
  constexpr bool kStore = kNarrow && std::is_same_v<T, float>;
  using First = std::conditional_t<kStore, S, T>;
  static constexpr std::array<ForwardTile<T, First>, Shape<T>::kRows> kFirst[] = {
      forward_tiles<T, First, 1, kStore>(Rows()), forward_tiles<T, First, kPanels, kStore>(Rows())};
  static constexpr std::array<ForwardTile<T, T>, Shape<T>::kRows> kTiles[] = {
      forward_tiles<T, T, 1, false>(Rows()), forward_tiles<T, T, kPanels, false>(Rows())};
  const int64_t K = a.w.cols, chunk = chunk_length(K), panel = K * kPanelRows,
                wide_panel = chunk * kPanelRows;
  const TileRows rows(count, Shape<T>::kRows);
  Scratch scratch(Scratch::piece<T>(kNarrow ? kPanels * wide_panel : 0));
  T* wide = scratch.take<T>(kNarrow ? kPanels * wide_panel : 0);
  prepare(a, row, count, p0, panels);
  for (int64_t k = 0; k < K; k += chunk) {
    const int64_t depth = std::min(chunk, K - k);
    for (int64_t p = p0; p < p0 + panels;) {
      const int64_t now = p + kPanels <= p0 + panels ? kPanels : 1;
      const S* w = static_cast<const S*>(a.w.data) + packed_index(p * kPanelRows, k, K);
      const bool last = p + now >= p0 + panels;
      Ahead ahead = {last ? w : w + now * panel, now * kPanelRows * int64_t{sizeof(S)} / rows.count + 1};
      Target<T> to = target(a, row, p * kPanelRows, k, now);
      if constexpr (kNarrow && !kStore) {
        for (int64_t q = 0; q < now; ++q) widen(w + q * panel, depth * kPanelRows, wide + q * wide_panel);
      }
      for (int64_t i = 0; i < rows.count; ++i) {
        const T* x = a.x + (row + rows.begin(i)) * a.ldx + k;
        const int height = rows.length(i);
        if (kStore && i == 0) {
          if constexpr (kStore)  // the others have no such tile
            kFirst[now == kPanels][height - 1](depth, x, a.ldx, {w, panel, wide, wide_panel}, ahead, to);
        } else if constexpr (kNarrow) {
          kTiles[now == kPanels][height - 1](depth, x, a.ldx, {wide, wide_panel}, ahead, to);
        } else {
          kTiles[now == kPanels][height - 1](depth, x, a.ldx, {w, panel}, ahead, to);
        }
        to.y += height * a.ldy;
        if (to.start) to.start += height * to.ld_start;
        ahead.p = static_cast<const char*>(ahead.p) + depth * ahead.step;
      }
      p += now;
    }
  }
}

template <class T, class S>
void forward_many(CpuStream& stream, const MatmulArgs<T>& a) {
  const int64_t N = a.w.rows, K = a.w.cols, all = ceil_div(N, kPanelRows);
  const Cut rows = cut_by(a.tokens, kBlockRows, Shape<T>::kRows);
  const int64_t tasks = useful_tasks(static_cast<double>(a.tokens) * static_cast<double>(N * K));
  const int64_t columns = std::min(ceil_div(tasks, rows.count), ceil_div(all, kTaskPanels));
  const Cut panels = cut_into(all, columns, Shape<T>::kPanels);
  stream.parallel(rows.count * panels.count, [&](int64_t task) {
    const int64_t r = task % rows.count, p = task / rows.count;
    forward_block<T, S>(a, rows.begin(r), rows.length(r), panels.begin(p), panels.length(p));
  });
}

// ---- few rows ----

constexpr int64_t kFewRows = 6;
constexpr int64_t kFewAhead = 2048;  // bytes asked for in advance of one panel's reading

/// Panels in flight for M rows: enough independent sums to hide the latency, not more than registers hold.
template <class T>
constexpr int few_panels(int rows) {
  return std::clamp(Shape<T>::kSums / (rows * Shape<T>::kPanelVectors), 1, 6);
}

template <class T, class S, int M>
void forward_panels(const MatmulArgs<T>& a, int64_t p, int64_t end) {
  constexpr int P = few_panels<T>(M);
  prepare(a, 0, M, p, end - p);
  const int64_t K = a.w.cols, chunk = chunk_length(K), panel = K * kPanelRows;
  while (p < end) {
    const bool full = p + P <= end;
    const auto tile = full ? forward_tile<T, S, M, P, false> : forward_tile<T, S, M, 1, false>;
    for (int64_t k = 0; k < K; k += chunk) {
      const S* w = static_cast<const S*>(a.w.data) + packed_index(p * kPanelRows, k, K);
      const Ahead ahead = {reinterpret_cast<const char*>(w) + kFewAhead, kPanelRows * int64_t{sizeof(S)}};
      tile(std::min(chunk, K - k), a.x + k, a.ldx, {w, panel}, ahead,
           target(a, 0, p * kPanelRows, k, full ? P : 1));
    }
    p += full ? P : 1;
  }
}

template <class T, class S, size_t... M>
void forward_few(CpuStream& stream, const MatmulArgs<T>& a, std::index_sequence<M...>) {
  static constexpr auto kPath = std::array{forward_panels<T, S, static_cast<int>(M) + 1>...};
  const int64_t all = ceil_div(a.w.rows, kPanelRows);
  const int64_t bytes = a.w.rows * a.w.cols * int64_t{sizeof(S)};
  const Cut panels =
      cut_into(all, std::clamp<int64_t>(bytes >> 17, 1, 64), 12);  // 128 KB: some 10 µs to read
  stream.parallel(panels.count, [&](int64_t task) {
    const int64_t p = panels.begin(task);
    kPath[static_cast<size_t>(a.tokens - 1)](a, p, p + panels.length(task));
  });
}

template <class T, class S>
void forward(CpuStream& stream, const MatmulArgs<T>& a) {
  // Nobody generates in float64, nor where a panel outgrows the registers.
  if constexpr (std::is_same_v<T, float> && Shape<T>::kPanelVectors <= 4) {
    if (a.tokens <= kFewRows) return forward_few<T, S>(stream, a, std::make_index_sequence<kFewRows>());
  }
  forward_many<T, S>(stream, a);
}

template <class T>
void forward(CpuStream& stream, const MatmulArgs<T>& a) {
  switch (a.w.dtype) {
    case DType::f32:
      return forward<T, float>(stream, a);
    case DType::bf16:
      return forward<T, BF16>(stream, a);
    case DType::f16:
      return forward<T, F16>(stream, a);
    case DType::f64:
      if constexpr (std::is_same_v<T, double>) return forward<T, double>(stream, a);
      [[fallthrough]];
    default:
      fail("[matmul] expected weights no wider than the compute type, got {}", dtype_name(a.w.dtype));
  }
}

void matmul_f32(CpuStream& stream, const MatmulArgs<float>& a) {
  forward(stream, a);
}
void matmul_f64(CpuStream& stream, const MatmulArgs<double>& a) {
  forward(stream, a);
}

}  // namespace
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
  FT_CHECK(a.tokens >= 0 && a.w.rows >= 0 && a.w.cols > 0,
           "[matmul] expected T, N >= 0 and K > 0, got {}, {}, {}", a.tokens, a.w.rows, a.w.cols);
  if (a.tokens == 0 || a.w.rows == 0) return false;
  FT_CHECK(a.ldx >= a.w.cols && a.ldy >= a.w.rows,
           "[matmul] expected strides of at least {} and {}, got {} and {}", a.w.cols, a.w.rows, a.ldx,
           a.ldy);
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
