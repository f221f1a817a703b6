// The thin products of LoRA that write C columns (engine/ops/low_rank.h): the register tile of the matrix
// product with the scalars of u broadcast and vectors along C.
//
//   up    y + scale · sum, the sum one chain of fused multiply-adds over the ranks, from zero.
//   grad  dW + scale · sum, for each sample in turn, the sum one chain over the sample's tokens, from zero.
//
// Blocks of columns and rows only decide what stays in L1: no chain is cut or reordered by them.
#include "engine/ops/low_rank.h"

#include <cstring>

#include "kernels/cpu/matmul_shape.h"
#include "kernels/cpu/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/low_rank.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/simd/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {
namespace {

template <class T>
constexpr int64_t kWidth = Shape<T>::kVectors* Shape<T>::kLanes;  // columns of a tile

/// Rows of `out` at stride ld (+)= scale · sums.
template <class T, bool kOld>
struct PutScaled {
  T* out;
  int64_t ld;
  T scale;
  template <int I, int J>
  HWY_INLINE void at(hn::Vec<typename Shape<T>::D> c) {
    const typename Shape<T>::D d;
    T* p = out + I * ld + J * Shape<T>::kLanes;
    const auto s = hn::Set(d, scale);
    hn::StoreU(kOld ? hn::MulAdd(s, c, hn::LoadU(d, p)) : hn::Mul(s, c), d, p);
  }
};

/// Lets f(out, ld) work on a whole tile's width of `rows` rows where only `cols` columns exist.
template <class T, class F>
HWY_INLINE void in_whole_tiles(T* out, int64_t ld, int64_t rows, int64_t cols, F&& f) {
  if (cols >= kWidth<T>) return f(out, ld);
  HWY_ALIGN T buffer[Shape<T>::kRows * kWidth<T>] = {};
  const size_t bytes = static_cast<size_t>(cols) * sizeof(T);
  for (int64_t i = 0; i < rows; ++i) std::memcpy(buffer + i * kWidth<T>, out + i * ld, bytes);
  f(buffer, kWidth<T>);
  for (int64_t i = 0; i < rows; ++i) std::memcpy(out + i * ld, buffer + i * kWidth<T>, bytes);
}

/// The first `cols` columns of `depth` rows, zeros up to a tile's width.
template <class T>
HWY_INLINE void copy_columns(int64_t depth, const T* p, int64_t ld, int64_t cols, T* out) {
  const typename Shape<T>::D d;
  for (int64_t i = 0; i < depth; ++i, p += ld, out += kWidth<T>) {
    if (HWY_LIKELY(cols >= kWidth<T>)) {
      for (int64_t c = 0; c < kWidth<T>; c += Shape<T>::kLanes) hn::StoreU(hn::LoadU(d, p + c), d, out + c);
    } else {
      std::memset(out, 0, kWidth<T> * sizeof(T));
      std::memcpy(out, p, static_cast<size_t>(cols) * sizeof(T));
    }
  }
}

// ---- up ----

/// M rows of u [M][rank] by `tiles` tiles of columns of w, [rank][width] each.
template <class T, int M, bool kOld>
HWY_NOINLINE void up_rows(int64_t tiles, int64_t rank, const T* u, const T* w, T scale, T* out, int64_t ld) {
  for (; tiles > 0; --tiles, out += kWidth<T>) {
    Tile<T, M, Shape<T>::kVectors> tile;
    tile.zero();
    for (int64_t k = 0; k < rank; ++k, w += kWidth<T>) tile.step(u + k, rank, PanelColumn<T, T>{w});
    PutScaled<T, kOld> put{out, ld, scale};
    tile.each(put);
  }
}
template <class T>
using UpRows = void (*)(int64_t, int64_t, const T*, const T*, T, T*, int64_t);
template <class T, bool kOld, size_t... M>
constexpr std::array<UpRows<T>, sizeof...(M)> all_up_rows(std::index_sequence<M...>) {
  return {up_rows<T, static_cast<int>(M) + 1, kOld>...};
}

/// Rows [row, row + count).
template <class T>
void up_block(const LowRankUpArgs<T>& a, int64_t row, int64_t count) {
  using Rows = std::make_index_sequence<Shape<T>::kRows>;
  static constexpr std::array<UpRows<T>, Shape<T>::kRows> kTiles[] = {all_up_rows<T, false>(Rows()),
                                                                      all_up_rows<T, true>(Rows())};
  const TileRows rows(count, Shape<T>::kRows);
  const int64_t block =
      std::clamp<int64_t>(4096 / a.rank / kWidth<T> * kWidth<T>, kWidth<T>, 512);  // W's columns in L1
  Scratch scratch(Scratch::piece<T>(a.rank * block));
  T* w = scratch.take<T>(a.rank * block);
  for (int64_t c0 = 0; c0 < a.cols; c0 += block) {
    const int64_t cols = std::min(block, a.cols - c0), whole = cols / kWidth<T>, left = cols % kWidth<T>;
    for (int64_t c = 0; c < cols; c += kWidth<T>)
      copy_columns(a.rank, a.w + c0 + c, a.cols, cols - c, w + c * a.rank);
    for (int64_t i = 0; i < rows.count; ++i) {
      const int64_t t = row + rows.begin(i);
      const auto tile = kTiles[a.accumulate][rows.length(i) - 1];
      const T* u = a.u + t * a.rank;
      T* y = a.y + t * a.ldy + c0;
      tile(whole, a.rank, u, w, a.scale, y, a.ldy);
      if (left == 0) continue;
      in_whole_tiles(y + whole * kWidth<T>, a.ldy, rows.length(i), left, [&](T* out, int64_t ld) HWY_ATTR {
        tile(1, a.rank, u, w + whole * kWidth<T> * a.rank, a.scale, out, ld);
      });
    }
  }
}

template <class T>
void up(CpuStream& stream, const LowRankUpArgs<T>& a) {
  const int64_t unit = Shape<T>::kRows;
  const int64_t block =
      std::clamp<int64_t>(round_up((int64_t{1} << 19) / (a.rank * a.cols), unit), 4 * unit, 16 * unit);
  stream.parallel(ceil_div(a.tokens, block),
                  [&](int64_t task) { up_block(a, task * block, std::min(block, a.tokens - task * block)); });
}

// ---- grad ----

/// A vector operand that is also stored, for the tiles after this one to read.
template <class T>
struct KeptColumn {
  const T* p;
  T* kept;
  template <int J>
  HWY_INLINE hn::Vec<typename Shape<T>::D> get() const {
    const typename Shape<T>::D d;
    const auto v = hn::LoadU(d, p + J * Shape<T>::kLanes);
    hn::StoreU(v, d, kept + J * Shape<T>::kLanes);
    return v;
  }
};

/// M ranks by one tile's width of columns: Σ over `depth` tokens of u[token][rank] · x[token][column]. kKeep:
/// leaves those columns of x side by side in `kept`; their rows in x are so far apart that they share few
/// sets of the cache.
template <class T, int M, bool kKeep>
HWY_NOINLINE void grad_tile(int64_t depth, const T* u, int64_t rank, const T* x, int64_t ldx, T* kept,
                            T scale, T* out, int64_t ld) {
  Tile<T, M, Shape<T>::kVectors> tile;
  tile.zero();
  for (int64_t t = 0; t < depth; ++t, x += ldx, u += rank) {
    if constexpr (kKeep) {
      __builtin_prefetch(x + kWidth<T>, 0,
                         2);  // the next columns: the processor does not guess strides this long
      tile.step(u, 1, KeptColumn<T>{x, kept});
      kept += kWidth<T>;
    } else {
      tile.step(u, 1, PanelColumn<T, T>{x});
    }
  }
  PutScaled<T, true> put{out, ld, scale};
  tile.each(put);
}
template <class T>
using GradTile = void (*)(int64_t, const T*, int64_t, const T*, int64_t, T*, T, T*, int64_t);
template <class T, bool kKeep, size_t... M>
constexpr std::array<GradTile<T>, sizeof...(M)> grad_tiles(std::index_sequence<M...>) {
  return {grad_tile<T, static_cast<int>(M) + 1, kKeep>...};
}

/// Columns [c0, end) of dW, all samples.
template <class T>
void grad_block(const LowRankGradArgs<T>& a, int64_t c0, int64_t end) {
  using Rows = std::make_index_sequence<Shape<T>::kRows>;
  static constexpr std::array<GradTile<T>, Shape<T>::kRows> kTiles[] = {grad_tiles<T, false>(Rows()),
                                                                        grad_tiles<T, true>(Rows())};
  const TileRows ranks(a.rank, Shape<T>::kRows);
  for (int32_t s = 0; s < a.segments.count; ++s) {
    const int64_t begin = a.segments.bounds[s], depth = a.segments.bounds[s + 1] - begin;
    if (depth == 0) continue;
    Scratch scratch(Scratch::piece<T>(depth * kWidth<T>));
    T* kept = scratch.take<T>(depth * kWidth<T>);
    for (int64_t c = c0; c < end; c += kWidth<T>) {
      const T* x = a.x + begin * a.ldx + c;
      const bool whole = a.cols - c >= kWidth<T>;
      if (!whole) copy_columns(depth, x, a.ldx, a.cols - c, kept);
      for (int64_t j = 0; j < ranks.count; ++j) {
        const int64_t r = ranks.begin(j);
        const bool keep = whole && j == 0;
        in_whole_tiles(
            a.dw + r * a.cols + c, a.cols, ranks.length(j), a.cols - c, [&](T* out, int64_t ld) HWY_ATTR {
              kTiles[keep][ranks.length(j) - 1](depth, a.u + begin * a.rank + r, a.rank, keep ? x : kept,
                                                keep ? a.ldx : kWidth<T>, kept, a.scale, out, ld);
            });
      }
    }
  }
}

template <class T>
void grad(CpuStream& stream, const LowRankGradArgs<T>& a) {
  const auto work = static_cast<double>(a.segments.tokens()) * static_cast<double>(a.rank * a.cols);
  const Cut columns =
      cut_into(a.cols, std::min<int64_t>(useful_tasks(2 * work), ceil_div(a.cols, 64)), kWidth<T>);
  stream.parallel(columns.count, [&](int64_t task) {
    grad_block(a, columns.begin(task), columns.begin(task) + columns.length(task));
  });
}

void low_rank_up_f32(CpuStream& stream, const LowRankUpArgs<float>& a) {
  up(stream, a);
}
void low_rank_up_f64(CpuStream& stream, const LowRankUpArgs<double>& a) {
  up(stream, a);
}
void low_rank_grad_f32(CpuStream& stream, const LowRankGradArgs<float>& a) {
  grad(stream, a);
}
void low_rank_grad_f64(CpuStream& stream, const LowRankGradArgs<double>& a) {
  grad(stream, a);
}

}  // namespace
}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ft {
namespace {

HWY_EXPORT(low_rank_up_f32);
HWY_EXPORT(low_rank_up_f64);
HWY_EXPORT(low_rank_grad_f32);
HWY_EXPORT(low_rank_grad_f64);

/// False where there is nothing to do.
bool check(const char* op, int64_t tokens, int64_t rank, int64_t cols, int64_t stride) {
  FT_CHECK(tokens >= 0 && rank > 0 && cols >= 0, "[{}] expected T, C >= 0 and r > 0, got {}, {}, {}", op,
           tokens, cols, rank);
  if (tokens == 0 || cols == 0) return false;
  FT_CHECK(stride >= cols, "[{}] expected a stride of at least {}, got {}", op, cols, stride);
  return true;
}
template <class T>
bool check(const LowRankUpArgs<T>& a) {
  return check("low_rank_up", a.tokens, a.rank, a.cols, a.ldy);
}
template <class T>
bool check(const LowRankGradArgs<T>& a) {
  return check("low_rank_grad", a.segments.tokens(), a.rank, a.cols, a.ldx);
}

}  // namespace

void low_rank_up(CpuStream& stream, const LowRankUpArgs<float>& a) {
  if (check(a)) HWY_DYNAMIC_DISPATCH(low_rank_up_f32)(stream, a);
}
void low_rank_up(CpuStream& stream, const LowRankUpArgs<double>& a) {
  if (check(a)) HWY_DYNAMIC_DISPATCH(low_rank_up_f64)(stream, a);
}
void low_rank_grad(CpuStream& stream, const LowRankGradArgs<float>& a) {
  if (check(a)) HWY_DYNAMIC_DISPATCH(low_rank_grad_f32)(stream, a);
}
void low_rank_grad(CpuStream& stream, const LowRankGradArgs<double>& a) {
  if (check(a)) HWY_DYNAMIC_DISPATCH(low_rank_grad_f64)(stream, a);
}

}  // namespace ft
#endif
