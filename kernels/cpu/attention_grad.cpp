// Attention backward (Dao et al. 2022, algorithm 4) over transposed tiles; see simd/attention-inl.h. The
// probabilities are recomputed from the saved lse:
//
//   p = exp(s − lse),  dp = V doᵀ,  ds = p ∘ (dp − δ) with δ = do·o,
//   dv = p do,  dk = scale · ds q,  dq = scale · dsᵀ k
//
// A unit is a sample under one key head: it takes the lanes 64 at a time, and for each such chunk walks the
// key blocks once, so dk and dv [keys, D] are summed over lanes in order, in the thread's own buffer. 10·D
// operations a visible pair. Gradients of prefix and bias: each sample's sum is kept apart, then added in the
// order of the samples.
#include <algorithm>
#include <vector>

#include "engine/ops/attention.h"
#include "kernels/cpu/attention_plan.h"
#include "kernels/cpu/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_grad.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/simd/attention-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Scores s [rows, lanes] to probabilities, and dp [rows, lanes] to ds, in place.
template <class T>
void probabilities_and_ds(int vectors, int64_t rows, T* s, T* dp, int64_t ld, const T* lse, const T* delta) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t l = 0; l < vectors * lanes; l += lanes) {
    const auto row_lse = hn::LoadU(d, lse + l), row_delta = hn::LoadU(d, delta + l);
    for (int64_t r = 0; r < rows; ++r) {
      T *at = s + r * ld + l, *dat = dp + r * ld + l;
      const auto p = softmax_exp(d, hn::Sub(hn::LoadU(d, at), row_lse));
      hn::StoreU(p, d, at);
      hn::StoreU(hn::Mul(p, hn::Sub(hn::LoadU(d, dat), row_delta)), d, dat);
    }
  }
}

template <class T>
struct GradTile : LaneTile<T> {
  T *q = nullptr, *dout = nullptr, *dq = nullptr;  // [D, W] each
  T lse[kTileLanes<T>], delta[kTileLanes<T>];
};

/// A chunk's rows of q and dout in panels of W features, [ceil(D / W)][kGradLanes][W], zeros beyond D.
template <class T>
HWY_INLINE void store_panels(const T* row, int64_t head_dim, int64_t lane, T* panels) {
  constexpr int64_t W = kTileLanes<T>;
  const hn::ScalableTag<T> d;
  const auto vector = static_cast<int64_t>(hn::Lanes(d));
  T* to = panels + lane * W;
  int64_t f = 0;
  for (; f + W <= head_dim; f += W, to += kGradLanes * W)
    for (int64_t i = 0; i < W; i += vector) hn::StoreU(hn::LoadU(d, row + f + i), d, to + i);
  if (f == head_dim) return;
  std::copy_n(row + f, head_dim - f, to);
  std::fill_n(to + head_dim - f, W - (head_dim - f), T{0});
}

template <class T>
HWY_INLINE T dot_product(const T* x, const T* y, int64_t n) {
  const hn::ScalableTag<T> d;
  const auto vector = static_cast<int64_t>(hn::Lanes(d));
  auto even = hn::Zero(d), odd = even;
  int64_t i = 0;
  for (; i + 2 * vector <= n; i += 2 * vector) {
    even = hn::MulAdd(hn::LoadU(d, x + i), hn::LoadU(d, y + i), even);
    odd = hn::MulAdd(hn::LoadU(d, x + i + vector), hn::LoadU(d, y + i + vector), odd);
  }
  T sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(even, odd)));
  for (; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

/// Where a unit leaves its sums of what all samples share: dk and dv of the prefix rows [2][prefix, D], and
/// ds by head of the group and distance [group, 2 · bias_span + 1]. Null for what is not trained.
template <class T>
struct SharedSums {
  T *prefix = nullptr, *bias = nullptr;
};

template <class T>
struct GradUnit {
  static constexpr int64_t W = kTileLanes<T>, kTiles = kGradLanes / W;

  const AttentionGradArgs<T>& g;
  const AttentionArgs<T>& a;
  const AttentionSample sample;
  const int64_t kv_head, D, D_padded, block;
  const KeyHead<T> head;
  const SharedSums<T> shared;
  T *dk, *dv;                    // [keys, D_padded]
  T *q_panels, *dout_panels;     // [D_padded / W][kGradLanes][W]
  T *q, *dout, *dq;              // [tiles][D, W]
  T *p, *ds;                     // [block, kGradLanes]
  T *key_buffer, *value_buffer;  // [block, D]
  GradTile<T> tile[kTiles];
  int64_t tiles = 0, lanes = 0;

  static size_t scratch_bytes(int64_t D, int64_t padded, int64_t keys, int64_t block) {
    return 2 * Scratch::piece<T>(keys * padded) + 2 * Scratch::piece<T>(padded * kGradLanes) +
           3 * Scratch::piece<T>(kTiles * D * W) + 2 * Scratch::piece<T>(block * kGradLanes) +
           2 * Scratch::piece<T>(block * D);
  }

  GradUnit(const AttentionGradArgs<T>& args, const AttentionUnit& unit, const SharedSums<T>& sums)
      : g(args),
        a(args.forward),
        sample(a, unit.sample),
        kv_head(unit.kv_head),
        D(a.head_dim),
        D_padded((D + W - 1) / W * W),
        block(key_block(D)),
        head(a, sample, kv_head),
        shared(sums) {
    Scratch scratch(scratch_bytes(D, D_padded, sample.keys, block));
    for (T** x : {&dk, &dv}) *x = scratch.take<T>(sample.keys * D_padded);
    for (T** x : {&q_panels, &dout_panels}) *x = scratch.take<T>(D_padded * kGradLanes);
    for (T** x : {&q, &dout, &dq}) *x = scratch.take<T>(kTiles * D * W);
    for (T** x : {&p, &ds}) *x = scratch.take<T>(block * kGradLanes);
    for (T** x : {&key_buffer, &value_buffer}) *x = scratch.take<T>(block * D);
    std::fill_n(dk, sample.keys * D_padded, T{0});
    std::fill_n(dv, sample.keys * D_padded, T{0});
  }

  void load_tile(int64_t chunk_begin, GradTile<T>& t) {
    const T *q_rows[W], *dout_rows[W];
    for (int64_t l = 0; l < W; ++l) {
      const int64_t lane = t.begin + std::min(l, t.lanes - 1);
      q_rows[l] = a.q + lane_offset(sample, kv_head, D, lane, a.ldq);
      dout_rows[l] = g.dout + lane_offset(sample, kv_head, D, lane, a.ldo);
      const T* out = a.out + lane_offset(sample, kv_head, D, lane, a.ldo);
      t.delta[l] = dot_product(dout_rows[l], out, D);
      // A lane that sees no key: every score is −∞, and exp(−∞ − ∞) = 0.
      t.lse[l] = t.sees_any(l) ? a.lse[lane_offset(sample, kv_head, 1, lane, a.heads)]
                               : std::numeric_limits<T>::infinity();
      if (l >= t.lanes) continue;
      store_panels(q_rows[l], D, lane - chunk_begin, q_panels);
      store_panels(dout_rows[l], D, lane - chunk_begin, dout_panels);
    }
    rows_to_columns(q_rows, W, D, a.scale, t.q, W);
    rows_to_columns(dout_rows, W, D, T{1}, t.dout, W);
    std::fill_n(t.dq, D * W, T{0});
  }

  /// p and ds of one tile against the rows [begin, begin + rows), and what they add to dq.
  void score_tile(GradTile<T>& t, int64_t begin, int64_t rows, int64_t block_rows, const T* keys,
                  const T* values) {
    const int64_t column = t.begin - tile[0].begin;
    T *tp = p + column, *tds = ds + column;
    tile_product(t.vectors, Start::zero, rows, D, keys, D, 1, t.q, W, tp, kGradLanes);
    bias_and_mask(t, begin, rows, tp, kGradLanes);
    tile_product(t.vectors, Start::zero, rows, D, values, D, 1, t.dout, W, tds, kGradLanes);
    probabilities_and_ds(t.vectors, rows, tp, tds, kGradLanes, t.lse, t.delta);
    if (shared.bias) add_to_bias(t, begin, rows, tds);
    tile_product(t.vectors, Start::add, D, rows, keys, 1, D, tds, kGradLanes, t.dq, W);
    // The key tiles of add_keys() are six rows: hidden rows up to the next multiple count as zero.
    for (int64_t r = rows; r < std::min((rows + 5) / 6 * 6, block_rows); ++r) {
      std::fill_n(tp + r * kGradLanes, W, T{0});
      std::fill_n(tds + r * kGradLanes, W, T{0});
    }
  }

  void add_to_bias(const GradTile<T>& t, int64_t key, int64_t rows, const T* tds) {
    const int64_t span = a.bias_span;
    for (int64_t r = 0; r < rows; ++r, ++key, tds += kGradLanes)
      for (int64_t l = 0; l < t.lanes; ++l) {
        const int64_t h = (t.begin + l) % sample.group, own = static_cast<int64_t>(t.position[l]);
        shared.bias[h * (2 * span + 1) + span + std::clamp(key - own, -span, span)] += tds[l];
      }
  }

  /// dk += ds q, dv += p do for the rows of a block; rows_of: how many of them each tile sees.
  void add_keys(int64_t begin, int64_t block_rows, const int64_t* rows_of) {
    for (int64_t f = 0; f < D; f += W) {
      const int vectors = D - f > W / 2 ? 2 : 1;
      const T *qp = q_panels + f * kGradLanes, *dp = dout_panels + f * kGradLanes;
      for (int64_t r = 0; r < block_rows; r += 6) {
        int64_t t0 = 0, t1 = tiles;
        while (t0 < t1 && rows_of[t0] <= r) ++t0;
        while (t1 > t0 && rows_of[t1 - 1] <= r) --t1;
        const int64_t from = t0 * W, depth = std::min(t1 * W, lanes) - from,
                      n = std::min<int64_t>(6, block_rows - r);
        if (depth <= 0) continue;
        const int64_t at = (begin + r) * D_padded + f, scores = r * kGradLanes + from;
        tile_product(vectors, Start::add, n, depth, p + scores, kGradLanes, 1, dp + from * W, W, dv + at,
                     D_padded);
        tile_product(vectors, Start::add, n, depth, ds + scores, kGradLanes, 1, qp + from * W, W, dk + at,
                     D_padded);
      }
    }
  }

  void chunk(int64_t chunk_begin, int64_t chunk_end) {
    lanes = chunk_end - chunk_begin;
    tiles = (lanes + W - 1) / W;
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t from = chunk_begin + t * W;
      tile[t].set(a, sample, kv_head, from, std::min(from + W, chunk_end));
      tile[t].q = q + t * D * W;
      tile[t].dout = dout + t * D * W;
      tile[t].dq = dq + t * D * W;
      load_tile(chunk_begin, tile[t]);
    }
    for (int64_t begin = 0; begin < sample.keys; begin += block) {
      int64_t rows_of[kTiles], seen = 0;
      for (int64_t t = 0; t < tiles; ++t) {
        rows_of[t] = tile[t].rows_seen(begin, std::min(begin + block, sample.keys));
        seen = std::max(seen, rows_of[t]);
      }
      if (seen == 0) continue;
      const T* keys = head.keys(begin, begin + seen, true, key_buffer).p;
      const T* values = head.values(begin, begin + seen, true, value_buffer).p;
      for (int64_t t = 0; t < tiles; ++t)
        if (rows_of[t] > 0) score_tile(tile[t], begin, rows_of[t], seen, keys, values);
      add_keys(begin, seen, rows_of);
    }
    for (int64_t t = 0; t < tiles; ++t) {
      T* rows[W];
      for (int64_t l = 0; l < tile[t].lanes; ++l)
        rows[l] = g.dq + lane_offset(sample, kv_head, D, tile[t].begin + l, a.ldq);
      columns_to_rows(tile[t].dq, W, tile[t].lanes, D, a.scale, rows);
    }
  }

  void run() {
    const int64_t all = sample.n_q * sample.group;
    for (int64_t begin = 0; begin < all; begin += kGradLanes) chunk(begin, std::min(begin + kGradLanes, all));
    for (int64_t j = 0; j < sample.keys; ++j) {
      const bool own = j >= sample.prefix;
      if (!own && !shared.prefix) continue;
      const int64_t row = sample.kv_begin + j - sample.prefix;
      T* to_k = own ? g.dk + row * a.ldk + kv_head * D : shared.prefix + j * D;
      T* to_v = own ? g.dv + row * a.ldv + kv_head * D : shared.prefix + (sample.prefix + j) * D;
      for (int64_t f = 0; f < D; ++f) to_k[f] = dk[j * D_padded + f] * a.scale;
      std::copy_n(dv + j * D_padded, D, to_v);
    }
  }
};

void attention_grad_unit_f32(const AttentionGradArgs<float>& g, const AttentionUnit& u, float* prefix_sums,
                             float* bias_sums) {
  GradUnit<float>(g, u, {prefix_sums, bias_sums}).run();
}
void attention_grad_unit_f64(const AttentionGradArgs<double>& g, const AttentionUnit& u, double* prefix_sums,
                             double* bias_sums) {
  GradUnit<double>(g, u, {prefix_sums, bias_sums}).run();
}

}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ft {

HWY_EXPORT(attention_grad_unit_f32);
HWY_EXPORT(attention_grad_unit_f64);

namespace {

/// Adds the samples' sums [samples, kv_heads][2][P, D] to the prefix gradients [P, kv_heads·D] in order.
template <class T>
void add_prefix_sums(CpuStream& stream, const AttentionGradArgs<T>& g, const T* sums) {
  const AttentionArgs<T>& a = g.forward;
  const int64_t D = a.head_dim, P = a.prefix;
  stream.parallel(a.kv_heads, [&](int64_t h) {
    for (int64_t s = 0; s < a.samples; ++s) {
      const T* sum = sums + (s * a.kv_heads + h) * 2 * P * D;
      for (T* to : {g.dprefix_k, g.dprefix_v})
        for (int64_t j = 0; j < P; ++j, sum += D) {
          T* row = to + j * a.ld_prefix + h * D;
          for (int64_t f = 0; f < D; ++f) row[f] += sum[f];
        }
    }
  });
}

/// Adds the samples' sums [samples, heads, 2 · bias_span + 1] to the bias's gradient in order.
template <class T>
void add_bias_sums(const AttentionGradArgs<T>& g, const T* sums) {
  const int64_t size = g.forward.heads * (2 * g.forward.bias_span + 1);
  for (int64_t s = 0; s < g.forward.samples; ++s, sums += size)
    for (int64_t i = 0; i < size; ++i) g.drelative_bias[i] += sums[i];
}

template <class T, class Unit>
void run_attention_grad(CpuStream& stream, const AttentionGradArgs<T>& g, Unit unit) {
  const AttentionArgs<T>& a = g.forward;
  check_attention(a);
  FT_CHECK(a.lse, "[attention_grad] expected the forward's lse, got null");
  FT_CHECK(!g.dprefix_k == !g.dprefix_v,
           "[attention_grad] expected both prefix gradients or neither, got one");
  const AttentionPlan plan = plan_attention(a, 0);
  const bool prefix = a.prefix > 0 && g.dprefix_k;
  const int64_t per_unit = prefix ? 2 * a.prefix * a.head_dim : 0;
  const bool bias = a.relative_bias && g.drelative_bias;
  const int64_t bias_per_unit = bias ? a.heads / a.kv_heads * (2 * a.bias_span + 1) : 0;
  const auto of_units = [&](int64_t size) { return static_cast<size_t>(a.samples * a.kv_heads * size); };
  std::vector<T> sums(of_units(per_unit)), bias_sums(of_units(bias_per_unit));
  stream.parallel(plan.tasks(), [&](int64_t task) {
    const auto t = static_cast<size_t>(task);
    for (int64_t i = plan.task_begin[t]; i < plan.task_begin[t + 1]; ++i) {
      const AttentionUnit& u = plan.units[static_cast<size_t>(i)];
      const int64_t at = u.sample * a.kv_heads + u.kv_head;
      unit(g, u, prefix ? sums.data() + at * per_unit : nullptr,
           bias ? bias_sums.data() + at * bias_per_unit : nullptr);
    }
  });
  if (prefix) add_prefix_sums(stream, g, sums.data());
  if (bias) add_bias_sums(g, bias_sums.data());
}

}  // namespace

void attention_grad(CpuStream& stream, const AttentionGradArgs<float>& args) {
  run_attention_grad(stream, args, HWY_DYNAMIC_DISPATCH(attention_grad_unit_f32));
}
void attention_grad(CpuStream& stream, const AttentionGradArgs<double>& args) {
  run_attention_grad(stream, args, HWY_DYNAMIC_DISPATCH(attention_grad_unit_f64));
}

}  // namespace ft
#endif
