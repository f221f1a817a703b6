// dx [T, K] (+)= dy [T, N] W, from the packed copy of W that the forward product reads.
//
// An element of dx is  old dx + ((c₀ + c₁) + …),  cᵢ the sum over chunk i of N (matmul_shape.h), one chain of fused
// multiply-adds from zero in the order of n.
//
// Within a panel of W the 16 outputs of one input k are neighbours: so here W is the broadcast operand and vectors
// run over the rows of dyᵀ, transposed chunk by chunk into panels of 16 tokens. A tile's slice of W (a few k by a
// chunk of n) is gathered, widened, into one contiguous strip that serves all tokens of the block. Sums of a block are kept
// transposed, [k][token], and turned around once at the end. Padding rows of W are never read.
#include "engine/ops/matmul.h"

#include <cstring>

#include "kernels/cpu/matmul_shape.h"
#include "kernels/cpu/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/matmul_grad_input.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/simd/tile-inl.h"
#include "kernels/cpu/simd/matrix_transpose-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {

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

/// One tile over one chunk of n: M inputs k by P panels of 16 tokens. `w` is a strip [depth/16][M][16], `dy` panels
/// of [depth][16], `panel` elements apart; `out` [M] rows of tokens.
template <class T, int M, int P>
HWY_NOINLINE void grad_input_tile(int64_t depth, const T* w, const T* dy, int64_t panel, T* out, int64_t ld, bool old) {
  Tile<T, M, P * Shape<T>::kPanelVectors> tile;
  tile.zero();
  for (; depth >= kPanelRows; depth -= kPanelRows) {
    for (int n = 0; n < kPanelRows; ++n) {
      tile.step(w + n, kPanelRows, PanelColumn<T, T>{dy, panel});
      dy += kPanelRows;
    }
    w += M * kPanelRows;
  }
  for (int n = 0; n < depth; ++n) tile.step(w + n, kPanelRows, PanelColumn<T, T>{dy + n * kPanelRows, panel});
  if (old) {
    PutSums<T, true> put{out, ld};
    tile.each(put);
  } else {
    PutSums<T, false> put{out, ld};
    tile.each(put);
  }
}

template <class T>
using GradInputTile = void (*)(int64_t, const T*, const T*, int64_t, T*, int64_t, bool);

template <class T, int P, size_t... M>
constexpr std::array<GradInputTile<T>, sizeof...(M)> grad_input_tiles(std::index_sequence<M...>) {
  return {grad_input_tile<T, static_cast<int>(M) + 1, P>...};
}

/// The strip of k in [k, k + count), n in a chunk of `depth` from panel q0: [panel][k][16].
template <class T, class S>
HWY_INLINE void gather_strip(const PackedView& w, int64_t q0, int64_t depth, int64_t k, int64_t count, T* out) {
  const int64_t length = count * kPanelRows;
  for (int64_t q = 0; q < ceil_div(depth, kPanelRows); ++q) {
    widen(static_cast<const S*>(w.data) + packed_index((q0 + q) * kPanelRows, k, w.cols), length, out + q * length);
  }
}

/// dyᵀ of tokens [row, row + count), outputs [n, n + depth): panels of 16 tokens, [depth][16] each, zeros behind
/// the last token.
template <class T>
HWY_INLINE void transpose_tokens(const MatmulGradInputArgs<T>& a, int64_t row, int64_t count, int64_t n, int64_t depth,
                                 int64_t panel, T* out) {
  for (int64_t t = 0; t < count; t += kPanelRows) {
    T* to = out + t / kPanelRows * panel;
    const int64_t now = std::min(kPanelRows, count - t);
    if (now < kPanelRows) std::memset(to, 0, static_cast<size_t>(depth * kPanelRows) * sizeof(T));
    transpose<false>(a.dy + (row + t) * a.ldy + n, a.ldy, now, depth, to, kPanelRows);
  }
}

/// Tokens [row, row + count) by inputs [k0, k0 + width).
template <class T, class S>
void grad_input_block(const MatmulGradInputArgs<T>& a, int64_t row, int64_t count, int64_t k0, int64_t width) {
  using Rows = std::make_index_sequence<Shape<T>::kRows>;
  static constexpr auto kOne = grad_input_tiles<T, 1>(Rows());
  static constexpr auto kAll = grad_input_tiles<T, Shape<T>::kPanels>(Rows());
  const int64_t N = a.w.rows, chunk = chunk_length(N);
  const int64_t token_panels = ceil_div(count, kPanelRows), tokens = token_panels * kPanelRows;
  const TileRows tiles(width, Shape<T>::kRows);
  const int64_t group = count <= 48 ? 2 : 24;  // tiles whose strips are kept at once: in L1, or in L2
  const int64_t strip = Shape<T>::kRows * chunk;
  Scratch scratch(Scratch::piece<T>(tokens * chunk) + Scratch::piece<T>(group * strip) + Scratch::piece<T>(width * tokens));
  T* dy = scratch.take<T>(tokens * chunk);
  T* strips = scratch.take<T>(group * strip);
  T* sums = scratch.take<T>(width * tokens);
  for (int64_t n = 0; n < N; n += chunk) {
    const int64_t depth = std::min(chunk, N - n);
    transpose_tokens(a, row, count, n, depth, chunk * kPanelRows, dy);
    for (int64_t g = 0; g < tiles.count; g += group) {
      const int64_t end = std::min(g + group, tiles.count);
      for (int64_t i = g; i < end; ++i) {
        gather_strip<T, S>(a.w, n / kPanelRows, depth, k0 + tiles.begin(i), tiles.length(i), strips + (i - g) * strip);
      }
      for (int64_t p = 0; p < token_panels;) {
        const bool all = token_panels - p >= Shape<T>::kPanels;
        for (int64_t i = g; i < end; ++i) {
          (all ? kAll : kOne)[tiles.length(i) - 1](depth, strips + (i - g) * strip, dy + p * chunk * kPanelRows,
                                                   chunk * kPanelRows, sums + tiles.begin(i) * tokens + p * kPanelRows,
                                                   tokens, n > 0);
        }
        p += all ? Shape<T>::kPanels : 1;
      }
    }
  }
  T* dx = a.dx + row * a.ldx + k0;
  if (a.accumulate) transpose<true>(sums, tokens, width, count, dx, a.ldx);
  else transpose<false>(sums, tokens, width, count, dx, a.ldx);
}

template <class T, class S>
void grad_input(CpuStream& stream, const MatmulGradInputArgs<T>& a) {
  const int64_t N = a.w.rows, K = a.w.cols;
  const Cut rows = cut_by(a.tokens, 256, kPanelRows);
  const int64_t tasks = useful_tasks(1.0 * static_cast<double>(a.tokens) * static_cast<double>(N * K));
  const Cut inputs = cut_into(K, std::clamp<int64_t>(ceil_div(tasks, rows.count), ceil_div(K, 384), ceil_div(K, 96)),
                              Shape<T>::kRows);
  stream.parallel(rows.count * inputs.count, [&](int64_t task) {
    const int64_t r = task % rows.count, k = task / rows.count;
    grad_input_block<T, S>(a, rows.begin(r), rows.length(r), inputs.begin(k), inputs.length(k));
  });
}

template <class T>
void grad_input(CpuStream& stream, const MatmulGradInputArgs<T>& a) {
  switch (a.w.dtype) {
    case DType::f32: return grad_input<T, float>(stream, a);
    case DType::bf16: return grad_input<T, BF16>(stream, a);
    case DType::f16: return grad_input<T, F16>(stream, a);
    case DType::f64:
      if constexpr (std::is_same_v<T, double>) return grad_input<T, double>(stream, a);
      [[fallthrough]];
    default:
      fail("[matmul_grad_input] expected weights no wider than the compute type, got {}", dtype_name(a.w.dtype));
  }
}

void matmul_grad_input_f32(CpuStream& stream, const MatmulGradInputArgs<float>& a) { grad_input(stream, a); }
void matmul_grad_input_f64(CpuStream& stream, const MatmulGradInputArgs<double>& a) { grad_input(stream, a); }

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
  FT_CHECK(a.tokens >= 0 && a.w.rows > 0 && a.w.cols >= 0, "[matmul_grad_input] expected T, K >= 0 and N > 0, got {}, {}, {}",
           a.tokens, a.w.cols, a.w.rows);
  if (a.tokens == 0 || a.w.cols == 0) return false;
  FT_CHECK(a.ldx >= a.w.cols && a.ldy >= a.w.rows,
           "[matmul_grad_input] expected strides of at least {} and {}, got {} and {}", a.w.cols, a.w.rows, a.ldx, a.ldy);
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
