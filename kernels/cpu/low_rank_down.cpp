// u [T, r] = scale · x [T, C] Wᵀ, the thin product of LoRA that sums along C (engine/ops/low_rank.h).
//
// Dot products: a tile of rows × ranks keeps one vector of running sums per product, lane i summing the
// columns i, i + lanes, … in order; the lanes are joined in a fixed order at the end, then scaled. A chunk of
// columns of a few rows stays in L1 while all ranks pass over it, and the running sums rest in memory between
// chunks: no chain is cut or reordered by it. Reads x once; bound by that below a rank of about 8, by
// multiply-adds above.
#include <cstring>

#include "engine/ops/low_rank.h"
#include "kernels/cpu/matmul_shape.h"
#include "kernels/cpu/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/low_rank_down.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/simd/lanes-inl.h"
#include "kernels/cpu/simd/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {
namespace {

constexpr int kDownRows = 3, kDownRanks = 4;  // 12 running sums, 3 + 4 loads a step
constexpr int64_t kDownBlock = 24;            // rows that share a chunk of columns in L1
constexpr int64_t kDownChunk = 256;

/// Running sums of M rows × R ranks, kept as vectors.
template <class T, int M, int R>
struct Dots {
  using D = typename Shape<T>::D;
  using V = hn::Vec<D>;
  V c[M * R];

  HWY_INLINE void load_sums(const T* p, int64_t row, int64_t rank) {
    load_sums(p, row, rank, std::make_index_sequence<M * R>());
  }
  HWY_INLINE void store_sums(T* p, int64_t row, int64_t rank) const {
    store_sums(p, row, rank, std::make_index_sequence<M * R>());
  }
  template <class Part>
  HWY_INLINE void step(const T* x, int64_t ldx, const T* w, int64_t ldw, Part part) {
    step(x, ldx, w, ldw, part, std::make_index_sequence<M>(), std::make_index_sequence<R>());
  }

 private:
  template <size_t... I>
  HWY_INLINE void load_sums(const T* p, int64_t row, int64_t rank, std::index_sequence<I...>) {
    ((c[I] = hn::LoadU(D(), p + static_cast<int64_t>(I / R) * row + static_cast<int64_t>(I % R) * rank)),
     ...);
  }
  template <size_t... I>
  HWY_INLINE void store_sums(T* p, int64_t row, int64_t rank, std::index_sequence<I...>) const {
    (hn::StoreU(c[I], D(), p + static_cast<int64_t>(I / R) * row + static_cast<int64_t>(I % R) * rank), ...);
  }
  template <size_t... I>
  HWY_INLINE void rank(V w, const V* x, V* HWY_RESTRICT sums, std::index_sequence<I...>) {
    ((sums[I * R] = hn::MulAdd(x[I], w, sums[I * R])), ...);
  }
  template <class Part, size_t... I, size_t... J>
  HWY_INLINE void step(const T* x, int64_t ldx, const T* w, int64_t ldw, Part part,
                       std::index_sequence<I...> i, std::index_sequence<J...>) {
    const V xs[M] = {load(D(), x + static_cast<int64_t>(I) * ldx, part)...};
    (rank(load(D(), w + static_cast<int64_t>(J) * ldw, part), xs, c + J, i), ...);
  }
};

/// Continues the sums of M rows × R ranks, vectors at `sums` (row and rank strides), over `count` columns.
template <class T, int M, int R>
HWY_NOINLINE void down_tile(int64_t count, const T* x, int64_t ldx, const T* w, int64_t ldw, T* sums,
                            int64_t row) {
  constexpr int64_t kLanes = Shape<T>::kLanes;
  Dots<T, M, R> dots;
  dots.load_sums(sums, row, kLanes);
  int64_t c = 0;
  for (; c + kLanes <= count; c += kLanes) dots.step(x + c, ldx, w + c, ldw, Full{});
  if (c < count) dots.step(x + c, ldx, w + c, ldw, Tail{static_cast<size_t>(count - c)});
  dots.store_sums(sums, row, kLanes);
}

template <class T>
using DownTile = void (*)(int64_t, const T*, int64_t, const T*, int64_t, T*, int64_t);
/// Entry [(rows - 1) * kDownRanks + ranks - 1].
template <class T, size_t... I>
constexpr std::array<DownTile<T>, sizeof...(I)> down_tiles(std::index_sequence<I...>) {
  return {down_tile<T, static_cast<int>(I) / kDownRanks + 1, static_cast<int>(I) % kDownRanks + 1>...};
}

/// Rows [row, row + count).
template <class T>
void down_block(const LowRankDownArgs<T>& a, int64_t row, int64_t count) {
  static constexpr auto kTiles = down_tiles<T>(std::make_index_sequence<kDownRows * kDownRanks>());
  constexpr int64_t kLanes = Shape<T>::kLanes;
  const typename Shape<T>::D d;
  const TileRows rows(count, kDownRows), ranks(a.rank, kDownRanks);
  const int64_t sums_row = a.rank * kLanes;
  Scratch scratch(Scratch::piece<T>(count * sums_row));
  T* sums = scratch.take<T>(count * sums_row);
  std::memset(sums, 0, static_cast<size_t>(count * sums_row) * sizeof(T));
  for (int64_t c = 0; c < a.cols; c += kDownChunk) {
    for (int64_t j = 0; j < ranks.count; ++j) {
      const T* w = a.w + ranks.begin(j) * a.cols + c;
      for (int64_t i = 0; i < rows.count; ++i) {
        kTiles[(rows.length(i) - 1) * kDownRanks + ranks.length(j) - 1](
            std::min(kDownChunk, a.cols - c), a.x + (row + rows.begin(i)) * a.ldx + c, a.ldx, w, a.cols,
            sums + rows.begin(i) * sums_row + ranks.begin(j) * kLanes, sums_row);
      }
    }
  }
  for (int64_t i = 0; i < count * a.rank; ++i) {
    a.u[row * a.rank + i] = a.scale * hn::GetLane(hn::SumOfLanes(d, hn::LoadU(d, sums + i * kLanes)));
  }
}

template <class T>
void down(CpuStream& stream, const LowRankDownArgs<T>& a) {
  const int64_t blocks =
      std::max<int64_t>(1, (int64_t{1} << 19) / (kDownBlock * a.rank * a.cols));  // 10 µs a task
  stream.parallel(ceil_div(a.tokens, kDownBlock * blocks), [&](int64_t task) {
    const int64_t end = std::min(a.tokens, (task + 1) * kDownBlock * blocks);
    for (int64_t row = task * kDownBlock * blocks; row < end; row += kDownBlock) {
      down_block(a, row, std::min(kDownBlock, end - row));
    }
  });
}

void low_rank_down_f32(CpuStream& stream, const LowRankDownArgs<float>& a) {
  down(stream, a);
}
void low_rank_down_f64(CpuStream& stream, const LowRankDownArgs<double>& a) {
  down(stream, a);
}

}  // namespace
}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ft {
namespace {

HWY_EXPORT(low_rank_down_f32);
HWY_EXPORT(low_rank_down_f64);

/// False where there is nothing to do.
template <class T>
bool check(const LowRankDownArgs<T>& a) {
  FT_CHECK(a.tokens >= 0 && a.rank > 0 && a.cols > 0,
           "[low_rank_down] expected T >= 0 and C, r > 0, got {}, {}, {}", a.tokens, a.cols, a.rank);
  if (a.tokens == 0) return false;
  FT_CHECK(a.ldx >= a.cols, "[low_rank_down] expected a stride of at least {}, got {}", a.cols, a.ldx);
  return true;
}

}  // namespace

void low_rank_down(CpuStream& stream, const LowRankDownArgs<float>& a) {
  if (check(a)) HWY_DYNAMIC_DISPATCH(low_rank_down_f32)(stream, a);
}
void low_rank_down(CpuStream& stream, const LowRankDownArgs<double>& a) {
  if (check(a)) HWY_DYNAMIC_DISPATCH(low_rank_down_f64)(stream, a);
}

}  // namespace ft
#endif
