// Attention forward: FlashAttention's online softmax (Dao et al. 2022; Milakov and Gimelshein 2018) over
// transposed tiles. A unit of up to 128 lanes walks the blocks of keys once; each tile of a unit keeps its
// queries qᵀ [D, W], its unnormalised output oᵀ [D, W], running maximum and sum. Per block: s = K qᵀ, p =
// exp(s − max), then oᵀ = oᵀ·exp(old max − max) + Vᵀ p. Nothing of size n_q × n_kv exists; 4·D operations a
// visible pair.
//
// A masked key adds exactly nothing (p = 0, max unchanged, factor exp(0) = 1), so a lane's bits depend on the
// keys it sees and their order alone. A lane that sees no key gets out 0, lse −∞.
#include "engine/ops/attention.h"

#include <hwy/cache_control.h>

#include <algorithm>
#include <cmath>

#include "kernels/cpu/attention_plan.h"
#include "kernels/cpu/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/simd/attention-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Scores s [rows, W] to exp(s − max), max and sum carried on; `rescale` gets the factor of what was summed
/// before.
template <class T>
void online_softmax(int vectors, int64_t rows, T* s, T* max, T* sum, T* rescale) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto lowest = hn::Set(d, -std::numeric_limits<T>::infinity());
  for (int64_t l = 0; l < vectors * lanes; l += lanes) {
    const auto old = hn::LoadU(d, max + l);
    auto m = old;
    for (int64_t r = 0; r < rows; ++r) m = hn::Max(hn::LoadU(d, s + r * kTileLanes<T> + l), m);
    const auto shift =
        hn::IfThenZeroElse(hn::Eq(m, lowest), m);  // nothing seen yet: −∞ − (−∞) is not a number
    const auto factor = softmax_exp(d, hn::Sub(old, shift));
    auto total = hn::Zero(d);
    for (int64_t r = 0; r < rows; ++r) {
      T* at = s + r * kTileLanes<T> + l;
      const auto p = softmax_exp(d, hn::Sub(hn::LoadU(d, at), shift));
      total = hn::Add(total, p);
      hn::StoreU(p, d, at);
    }
    hn::StoreU(m, d, max + l);
    hn::StoreU(hn::MulAdd(hn::LoadU(d, sum + l), factor, total), d, sum + l);
    hn::StoreU(factor, d, rescale + l);
  }
}

template <class T>
struct ForwardTile : LaneTile<T> {
  T *q = nullptr, *out = nullptr;  // [D, W] each
  T max[kTileLanes<T>], sum[kTileLanes<T>];
};

template <class T>
void load_queries(const AttentionArgs<T>& a, const AttentionSample& sample, int64_t kv_head,
                  ForwardTile<T>& tile) {
  const T* rows[kTileLanes<T>];
  // Lanes past the end repeat the last one: finite, and never stored.
  for (int64_t l = 0; l < kTileLanes<T>; ++l)
    rows[l] = a.q + lane_offset(sample, kv_head, a.head_dim, tile.begin + std::min(l, tile.lanes - 1), a.ldq);
  rows_to_columns(rows, kTileLanes<T>, a.head_dim, a.scale, tile.q, kTileLanes<T>);
  std::fill_n(tile.out, a.head_dim * kTileLanes<T>, T{0});
  std::fill_n(tile.max, kTileLanes<T>, -std::numeric_limits<T>::infinity());
  std::fill_n(tile.sum, kTileLanes<T>, T{0});
}

template <class T>
void store_output(const AttentionArgs<T>& a, const AttentionSample& sample, int64_t kv_head,
                  ForwardTile<T>& tile) {
  const hn::ScalableTag<T> d;
  T* rows[kTileLanes<T>];
  T inverse[kTileLanes<T>] = {};
  for (int64_t l = 0; l < tile.lanes; ++l) {
    const int64_t lane = tile.begin + l;
    const bool any = tile.sees_any(l);
    inverse[l] = any ? T{1} / tile.sum[l] : T{0};
    rows[l] = a.out + lane_offset(sample, kv_head, a.head_dim, lane, a.ldo);
    if (a.lse)
      a.lse[lane_offset(sample, kv_head, 1, lane, a.heads)] =
          any ? tile.max[l] + std::log(tile.sum[l]) : -std::numeric_limits<T>::infinity();
  }
  for (int64_t f = 0; f < a.head_dim; ++f)
    for (int64_t l = 0; l < kTileLanes<T>; l += hn::Lanes(d)) {
      T* at = tile.out + f * kTileLanes<T> + l;
      hn::StoreU(hn::Mul(hn::LoadU(d, at), hn::LoadU(d, inverse + l)), d, at);
    }
  columns_to_rows(tile.out, kTileLanes<T>, tile.lanes, a.head_dim, T{1}, rows);
}

/// The scores of a unit of one tile, which reads keys and values where they lie, as generation does: each row
/// is used once, a few cache lines long and far from the next row, so the values of this block and the
/// `after` keys that follow it are asked for ahead of time.
template <class T>
void scores_from_cache(const ForwardTile<T>& x, int64_t rows, int64_t after, int64_t head_dim, KeyRows<T> k,
                       KeyRows<T> v, T* scores) {
  constexpr int64_t W = kTileLanes<T>, kLine = 64 / sizeof(T);
  for (int64_t r = 0; r < rows; r += 6) {
    const int64_t n = std::min<int64_t>(6, rows - r);
    for (int64_t i = r; i < r + n; ++i)
      for (int64_t f = 0; f < head_dim; f += kLine) {
        hwy::Prefetch(v.p + i * v.ld + f);
        if (i < after) hwy::Prefetch(k.p + (rows + i) * k.ld + f);
      }
    tile_product(x.vectors, Start::zero, n, head_dim, k.p + r * k.ld, k.ld, 1, x.q, W, scores + r * W, W);
  }
}

template <class T>
void forward_unit(const AttentionArgs<T>& a, const AttentionUnit& unit) {
  constexpr int64_t kTiles = kUnitLanes / kTileLanes<T>, W = kTileLanes<T>;
  if (unit.lane_begin >= unit.lane_end) return;
  const AttentionSample sample(a, unit.sample);
  const KeyHead<T> head(a, sample, unit.kv_head);
  const int64_t D = a.head_dim, block = key_block(D);
  const int64_t tiles = (unit.lane_end - unit.lane_begin + W - 1) / W;
  Scratch scratch(2 * Scratch::piece<T>(tiles * D * W) + 2 * Scratch::piece<T>(block * D) +
                  Scratch::piece<T>(block * W));
  T *q = scratch.take<T>(tiles * D * W), *out = scratch.take<T>(tiles * D * W);
  T *keys = scratch.take<T>(block * D), *values = scratch.take<T>(block * D),
    *scores = scratch.take<T>(block * W);

  ForwardTile<T> tile[kTiles];
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t begin = unit.lane_begin + t * W;
    tile[t].set(a, sample, unit.kv_head, begin, std::min(begin + W, unit.lane_end));
    tile[t].q = q + t * D * W;
    tile[t].out = out + t * D * W;
    load_queries(a, sample, unit.kv_head, tile[t]);
  }
  for (int64_t begin = 0; begin < sample.keys; begin += block) {
    int64_t seen = 0;
    for (int64_t t = 0; t < tiles; ++t) seen = std::max(seen, tile[t].rows_seen(begin, begin + block));
    if (seen == 0) continue;
    const KeyRows<T> k = head.keys(begin, begin + seen, tiles > 1, keys);
    const KeyRows<T> v = head.values(begin, begin + seen, tiles > 1, values);
    for (int64_t t = 0; t < tiles; ++t) {
      ForwardTile<T>& x = tile[t];
      const int64_t rows = x.rows_seen(begin, begin + seen);
      if (rows == 0) continue;
      T rescale[W];
      if (tiles > 1)
        tile_product(x.vectors, Start::zero, rows, D, k.p, k.ld, 1, x.q, W, scores, W);
      else
        scores_from_cache(x, rows, begin < sample.prefix ? 0 : sample.keys - begin - rows, D, k, v, scores);
      bias_and_mask(x, begin, rows, scores, W);
      online_softmax(x.vectors, rows, scores, x.max, x.sum, rescale);
      tile_product(x.vectors, Start::scale, D, rows, v.p, 1, v.ld, scores, W, x.out, W, rescale);
    }
  }
  for (int64_t t = 0; t < tiles; ++t) store_output(a, sample, unit.kv_head, tile[t]);
}

void attention_unit_f32(const AttentionArgs<float>& a, const AttentionUnit& u) {
  forward_unit(a, u);
}
void attention_unit_f64(const AttentionArgs<double>& a, const AttentionUnit& u) {
  forward_unit(a, u);
}

}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ft {

HWY_EXPORT(attention_unit_f32);
HWY_EXPORT(attention_unit_f64);

namespace {

template <class T, class Unit>
void run_attention(CpuStream& stream, const AttentionArgs<T>& args, Unit unit) {
  check_attention(args);
  const AttentionPlan plan = plan_attention(args, kUnitLanes);
  stream.parallel(plan.tasks(), [&](int64_t task) {
    const auto t = static_cast<size_t>(task);
    for (int64_t u = plan.task_begin[t]; u < plan.task_begin[t + 1]; ++u)
      unit(args, plan.units[static_cast<size_t>(u)]);
  });
}

}  // namespace

void attention(CpuStream& stream, const AttentionArgs<float>& args) {
  run_attention(stream, args, HWY_DYNAMIC_DISPATCH(attention_unit_f32));
}
void attention(CpuStream& stream, const AttentionArgs<double>& args) {
  run_attention(stream, args, HWY_DYNAMIC_DISPATCH(attention_unit_f64));
}

}  // namespace ft
#endif
