// dx [T, K] (+)= dy [T, N] W, from the packed copy of W that the forward product reads.
//
// An element of dx is  old dx + ((c₀ + c₁) + …),  cᵢ the sum over chunk i of N (matmul_shape.h), one chain of
// fused multiply-adds from zero in the order of n.
//
// Within a panel of W the 16 outputs of one input k are neighbours: so here W is the broadcast operand and
// vectors run over the rows of dyᵀ, transposed chunk by chunk into panels of 16 tokens. A tile's slice of W
// (a few k by a chunk of n) is gathered, widened, into one contiguous strip that serves all tokens of the
// block. Sums of a block are kept transposed, [k][token], and turned around once they are complete. Padding
// rows of W are never read.
#include "engine/ops/matmul.h"

#include <cstring>

#include "kernels/cpu/matmul_shape.h"
#include "kernels/cpu/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/matmul_grad_input.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/simd/matrix_transpose-inl.h"
#include "kernels/cpu/simd/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {
namespace {

// A task's block of dx: wide enough that transposing its dy, and tall enough that widening its W, are a few
// percent.
constexpr int64_t kBlockTokens = 128, kBlockInputs = 384;
template <class T>
constexpr int64_t kLine = 64 / sizeof(T);
constexpr int64_t kGroup =
    4;  // tiles whose strips (14 KB each on AVX-512) are kept between passes over the tokens

template <class T, bool kOld>
struct PutSums {
  T* out;
  int64_t ld;
  template <int I, int J>
  HWY_INLINE void at(hn::Vec<typename Shape<T>::D> c) {
    const typename Shape<T>::D d;
    T* p = out + I * ld + J * Shape<T>::kLanes;
    if constexpr (kOld) c = hn::Add(hn::LoadU(d, p), c);
    hn::StoreU(c, d, p);
  }
};

/// Weights whose turn comes next: while a tile works through a panel of its strip, it asks for the same
/// panel's bytes at `p`, `step` more at each n, so that they come into L2 at an even pace.
struct StripAhead {
  const char* p;
  int64_t step, panel;  // bytes
};

/// One line of each of the tile's tokens that will be needed soon: of dy, to be transposed for the next
/// chunk, or, in the last one, of dx, where the sums will go. Asked for, two a panel, while the tile
/// computes.
template <class T>
struct LinesAhead {
  const T* p;
  int64_t ld;
};

struct Filled {};  // in place of a storage type: the strip is ready

/// One tile over one chunk of n: M inputs k by P panels of 16 tokens. `strip` is the tile's slice of W,
/// [depth/16][M][16] in the compute type; the first tile to need it fills it from the panels of `w`,
/// `w_panel` elements apart, its loads and stores hidden behind the multiply-adds. `dy` panels of
/// [depth][16], `dy_panel` elements apart; `out` [M] rows of tokens.
template <class T, class S, int M, int P>
HWY_NOINLINE void grad_input_tile(int64_t depth, T* strip, const S* w, int64_t w_panel, const T* dy,
                                  int64_t dy_panel, StripAhead ahead, LinesAhead<T> lines, T* out, int64_t ld,
                                  bool old) {
  Tile<T, M, P * Shape<T>::kPanelVectors> tile;
  tile.zero();
  for (; depth > 0; depth -= kPanelRows) {
    if constexpr (!std::is_same_v<S, Filled>) {
      widen(w, M * kPanelRows, strip);
      w += w_panel;
    }
    for (int i = 0; i < 2; ++i) {
      __builtin_prefetch(lines.p, 0, 2);
      lines.p += lines.ld;
    }
    const char* next = ahead.p;
    const int64_t rows = std::min(depth, kPanelRows);
    for (int64_t n = 0; n < rows; ++n) {
      __builtin_prefetch(next, 0, 2);
      next += ahead.step;
      tile.step(strip + n, kPanelRows, PanelColumn<T, T>{dy, dy_panel});
      dy += kPanelRows;
    }
    strip += M * kPanelRows;
    ahead.p += ahead.panel;
  }
  if (old) {
    PutSums<T, true> put{out, ld};
    tile.each(put);
  } else {
    PutSums<T, false> put{out, ld};
    tile.each(put);
  }
}

template <class T, class S>
using GradInputTile = void (*)(int64_t, T*, const S*, int64_t, const T*, int64_t, StripAhead, LinesAhead<T>,
                               T*, int64_t, bool);

template <class T, class S, int P, size_t... M>
constexpr std::array<GradInputTile<T, S>, sizeof...(M)> grad_input_tiles(std::index_sequence<M...>) {
  return {grad_input_tile<T, S, static_cast<int>(M) + 1, P>...};
}

/// dyᵀ of tokens [row, row + count), outputs [n, n + depth): panels of 16 tokens, [depth][16] each, zeros
/// behind the last token.
template <class T>
HWY_INLINE void transpose_tokens(const MatmulGradInputArgs<T>& a, int64_t row, int64_t count, int64_t n,
                                 int64_t depth, int64_t panel, T* out) {
  for (int64_t t = 0; t < count; t += kPanelRows) {
    T* to = out + t / kPanelRows * panel;
    const int64_t now = std::min(kPanelRows, count - t);
    if (now < kPanelRows) std::memset(to, 0, static_cast<size_t>(depth * kPanelRows) * sizeof(T));
    transpose<false>(a.dy + (row + t) * a.ldy + n, a.ldy, now, depth, to, kPanelRows);
  }
}

/// Tokens [row, row + count) by inputs [k0, k0 + width).
template <class T, class S>
void grad_input_block(const MatmulGradInputArgs<T>& a, int64_t row, int64_t count, int64_t k0,
                      int64_t width) {
  using Rows = std::make_index_sequence<Shape<T>::kRows>;
  constexpr int64_t kPanels = Shape<T>::kPanels;
  // Filling on the way is worth its tiles for float32 arithmetic only.
  using First = std::conditional_t<std::is_same_v<T, float>, S, Filled>;
  static constexpr std::array<GradInputTile<T, First>, Shape<T>::kRows> kFirst[] = {
      grad_input_tiles<T, First, 1>(Rows()), grad_input_tiles<T, First, kPanels>(Rows())};
  static constexpr std::array<GradInputTile<T, Filled>, Shape<T>::kRows> kTiles[] = {
      grad_input_tiles<T, Filled, 1>(Rows()), grad_input_tiles<T, Filled, kPanels>(Rows())};
  const int64_t N = a.w.rows, K = a.w.cols, chunk = chunk_length(N), w_panel = K * kPanelRows;
  const int64_t token_panels = ceil_div(count, kPanelRows), dy_panel = chunk * kPanelRows;
  const int64_t ld = (token_panels + 1) * kPanelRows;  // one more than needed: no power of two
  const TileRows tiles(width, Shape<T>::kRows);
  const int64_t strip_length = Shape<T>::kRows * chunk, passes = ceil_div(token_panels, kPanels);
  // Of each panel of the next group's weights that one tile asks for.
  const int64_t bytes = Shape<T>::kRows * kPanelRows * int64_t{sizeof(S)} / passes + 1;
  Scratch scratch(Scratch::piece<T>(token_panels * dy_panel) + Scratch::piece<T>(kGroup * strip_length) +
                  Scratch::piece<T>(width * ld));
  T* dy = scratch.take<T>(token_panels * dy_panel);
  T* strips = scratch.take<T>(kGroup * strip_length);
  T* sums = scratch.take<T>(width * ld);
  const auto weights = [&](int64_t n, int64_t k) {
    return static_cast<const S*>(a.w.data) + packed_index(n / kPanelRows * kPanelRows, k, K);
  };
  T* dx = a.dx + row * a.ldx + k0;
  int64_t turned = 0;  // inputs whose sums are complete and in dx
  for (int64_t n = 0; n < N; n += chunk) {
    const int64_t depth = std::min(chunk, N - n);
    const bool last = n + depth >= N;
    const T* dy_next = a.dy + row * a.ldy + n + depth;
    transpose_tokens(a, row, count, n, depth, dy_panel, dy);
    for (int64_t g = 0; g < tiles.count; g += kGroup) {
      const int64_t end = std::min(g + kGroup, tiles.count);
      // The group after this one: the next inputs, or the first ones in the next chunk of n.
      const bool wraps = end == tiles.count;
      const S* after = weights(wraps ? std::min(n + chunk, N - 1) : n, k0 + (wraps ? 0 : tiles.begin(end)));
      StripAhead ahead = {reinterpret_cast<const char*>(after), bytes / kPanelRows + 1,
                          w_panel * int64_t{sizeof(S)}};
      for (int64_t p = 0; p < token_panels;) {
        const bool all = token_panels - p >= kPanels;
        for (int64_t i = g; i < end; ++i, ahead.p += bytes) {
          const int64_t height = tiles.length(i);
          T* strip = strips + (i - g) * strip_length;
          T* out = sums + tiles.begin(i) * ld + p * kPanelRows;
          const T* dy_tile = dy + p * dy_panel;
          const int64_t token = p * kPanelRows, column = std::min(i * kLine<T>, chunk);
          const LinesAhead<T> lines = last ? LinesAhead<T>{dx + token * a.ldx + tiles.begin(i), a.ldx}
                                           : LinesAhead<T>{dy_next + token * a.ldy + column, a.ldy};
          const S* w = weights(n, k0 + tiles.begin(i));
          if constexpr (std::is_same_v<First, S>) {
            if (p == 0) {
              kFirst[all][height - 1](depth, strip, w, w_panel, dy_tile, dy_panel, ahead, lines, out, ld,
                                      n > 0);
              continue;
            }
          } else if (p == 0) {
            for (int64_t q = 0; q < ceil_div(depth, kPanelRows); ++q)
              widen(w + q * w_panel, height * kPanelRows, strip + q * height * kPanelRows);
          }
          kTiles[all][height - 1](depth, strip, nullptr, 0, dy_tile, dy_panel, ahead, lines, out, ld, n > 0);
        }
        p += all ? kPanels : 1;
      }
      if (!last) continue;
      const int64_t done = wraps ? width : tiles.begin(end) / kPanelRows * kPanelRows;
      const auto turn = a.accumulate ? transpose<true, T> : transpose<false, T>;
      turn(sums + turned * ld, ld, done - turned, count, dx + turned, a.ldx);
      turned = done;
    }
  }
}

template <class T, class S>
void grad_input(CpuStream& stream, const MatmulGradInputArgs<T>& a) {
  const Cut rows = cut_by(a.tokens, kBlockTokens, kPanelRows);
  const int64_t K = a.w.cols;
  const int64_t tasks = useful_tasks(static_cast<double>(a.tokens) * static_cast<double>(a.w.rows * K));
  const int64_t parts = parts_beside(rows.count, tasks, K, kBlockInputs / 2, kBlockInputs);
  const Cut inputs = cut_into(K, parts, Shape<T>::kRows);
  stream.parallel(rows.count * inputs.count, [&](int64_t task) {
    const int64_t r = task % rows.count, k = task / rows.count;
    grad_input_block<T, S>(a, rows.begin(r), rows.length(r), inputs.begin(k), inputs.length(k));
  });
}

template <class T>
void grad_input(CpuStream& stream, const MatmulGradInputArgs<T>& a) {
  switch (a.w.dtype) {
    case DType::f32:
      return grad_input<T, float>(stream, a);
    case DType::bf16:
      return grad_input<T, BF16>(stream, a);
    case DType::f16:
      return grad_input<T, F16>(stream, a);
    case DType::f64:
      if constexpr (std::is_same_v<T, double>) return grad_input<T, double>(stream, a);
      [[fallthrough]];
    default:
      fail("[matmul_grad_input] expected weights no wider than the compute type, got {}",
           dtype_name(a.w.dtype));
  }
}

void matmul_grad_input_f32(CpuStream& stream, const MatmulGradInputArgs<float>& a) {
  grad_input(stream, a);
}
void matmul_grad_input_f64(CpuStream& stream, const MatmulGradInputArgs<double>& a) {
  grad_input(stream, a);
}

}  // namespace
}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ft {
namespace {

HWY_EXPORT(matmul_grad_input_f32);
HWY_EXPORT(matmul_grad_input_f64);

/// False where there is nothing to do.
template <class T>
bool check(const MatmulGradInputArgs<T>& a) {
  FT_CHECK(a.tokens >= 0 && a.w.rows > 0 && a.w.cols >= 0,
           "[matmul_grad_input] expected T, K >= 0 and N > 0, got {}, {}, {}", a.tokens, a.w.cols, a.w.rows);
  if (a.tokens == 0 || a.w.cols == 0) return false;
  FT_CHECK(a.ldx >= a.w.cols && a.ldy >= a.w.rows,
           "[matmul_grad_input] expected strides of at least {} and {}, got {} and {}", a.w.cols, a.w.rows,
           a.ldx, a.ldy);
  return true;
}

}  // namespace

void matmul_grad_input(CpuStream& stream, const MatmulGradInputArgs<float>& a) {
  if (check(a)) HWY_DYNAMIC_DISPATCH(matmul_grad_input_f32)(stream, a);
}
void matmul_grad_input(CpuStream& stream, const MatmulGradInputArgs<double>& a) {
  if (check(a)) HWY_DYNAMIC_DISPATCH(matmul_grad_input_f64)(stream, a);
}

}  // namespace ft
#endif
