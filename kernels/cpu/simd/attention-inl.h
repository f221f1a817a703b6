// What attention's forward and backward share: a tile of lanes (one or two vectors of (query, head) pairs),
// its masks, its scores, and blocks of keys and values in L1.
//
// Tiles are transposed: an element of a vector is a lane, a row is a key or a feature. So softmax needs no
// horizontal operation, keys and values are read as rows, unpacked, and a lane's result cannot depend on
// which lanes share its vector: a query gives the same bits alone with a cache as among a prompt.
//
// Keys are taken in blocks of key_block() rows counted from the first prefix row, the same blocks for every
// query.
#if defined(FT_KERNELS_CPU_SIMD_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FT_KERNELS_CPU_SIMD_ATTENTION_INL_H_
#undef FT_KERNELS_CPU_SIMD_ATTENTION_INL_H_
#else
#define FT_KERNELS_CPU_SIMD_ATTENTION_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>

#include "engine/ops/attention.h"
#include "kernels/cpu/attention_plan.h"
#include "kernels/cpu/simd/exp-inl.h"
#include "kernels/cpu/simd/small_product-inl.h"
#include "kernels/cpu/simd/transpose-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Lanes of a full tile: the width of the register tile.
template <class T>
constexpr int64_t kTileLanes = 2 * static_cast<int64_t>(hn::MaxLanes(hn::ScalableTag<T>()));

/// Keys a block, a multiple of the register tile's six rows: keys, values, scores and a tile stay close to
/// L1.
inline int64_t key_block(int64_t head_dim) {
  return head_dim <= 96 ? 48 : 24;
}

/// The lanes [begin, begin + lanes) of a unit, at most kTileLanes.
template <class T>
struct LaneTile {
  int64_t begin = 0, lanes = 0;
  int vectors = 0;  // 1 or 2
  // Rows that some lane sees are below `prefix` or in [any_first, any_last); those in [all_first, all_last)
  // are seen by all lanes.
  int64_t prefix = 0, any_first = 0, any_last = 0, all_first = 0, all_last = 0;
  bool alibi = false;
  int64_t span = -1;                                // ≥ 0: there is a bias by distance
  T first[kTileLanes<T>], last[kTileLanes<T>];      // what each lane sees
  T position[kTileLanes<T>], slope[kTileLanes<T>];  // ALiBi
  const T* bias[kTileLanes<T>];                     // of distance 0

  void set(const AttentionArgs<T>& a, const AttentionSample& sample, int64_t kv_head, int64_t from,
           int64_t to) {
    begin = from;
    lanes = to - from;
    vectors = lanes > kTileLanes<T> / 2 ? 2 : 1;
    prefix = sample.prefix;
    alibi = a.alibi_slopes != nullptr;
    span = a.relative_bias ? a.bias_span : -1;
    any_first = all_last = sample.keys;
    any_last = all_first = 0;
    for (int64_t l = 0; l < kTileLanes<T>; ++l) {
      const int64_t lane = std::min(from + l, to - 1);  // lanes past the end repeat the last one
      const int64_t i = lane / sample.group, head = kv_head * sample.group + lane % sample.group;
      const int64_t f = sample.first(i), e = sample.last(i);
      any_first = std::min(any_first, f);
      all_first = std::max(all_first, f);
      any_last = std::max(any_last, e);
      all_last = std::min(all_last, e);
      first[l] = static_cast<T>(f);
      last[l] = static_cast<T>(e);
      position[l] = static_cast<T>(sample.own(i));
      slope[l] = alibi ? a.alibi_slopes[head] : T{0};
      bias[l] = span >= 0 ? a.relative_bias + head * (2 * span + 1) + span : nullptr;
    }
  }
  bool sees_any(int64_t l) const { return prefix > 0 || first[l] < last[l]; }
  /// Of the rows [begin, end) the first how many must be looked at; 0 when the tile sees none of them.
  int64_t rows_seen(int64_t block_begin, int64_t block_end) const {
    if (block_begin >= prefix && block_end <= any_first) return 0;
    return std::max<int64_t>(0, std::min(block_end, std::max(prefix, any_last)) - block_begin);
  }
};

/// Start of a lane's row in q, out and their gradients.
inline int64_t lane_offset(const AttentionSample& s, int64_t kv_head, int64_t head_dim, int64_t lane,
                           int64_t ld) {
  return (s.q_begin + lane / s.group) * ld + (kv_head * s.group + lane % s.group) * head_dim;
}

template <class T>
HWY_INLINE void tile_product(int vectors, Start start, int64_t rows, int64_t depth, const T* a, int64_t a_row,
                             int64_t a_step, const T* b, int64_t ldb, T* c, int64_t ldc,
                             const T* factor = nullptr) {
  if (vectors == 2)
    small_product<2>(start, rows, depth, a, a_row, a_step, b, ldb, c, ldc, factor);
  else
    small_product<1>(start, rows, depth, a, a_row, a_step, b, ldb, c, ldc, factor);
}

/// Adds ALiBi and the bias by distance to the scores s [rows, lanes] of the keys from `key` on, and sets
/// those a lane must not see to −∞.
template <class T>
void bias_and_mask(const LaneTile<T>& tile, int64_t key, int64_t rows, T* s, int64_t ld) {
  const hn::ScalableTag<T> d;
  const auto hidden = hn::Set(d, -std::numeric_limits<T>::infinity());
  for (int64_t r = 0; r < rows; ++r, ++key, s += ld) {
    const bool masked = key >= tile.prefix && (key < tile.all_first || key >= tile.all_last);
    for (int64_t l = 0; tile.span >= 0 && l < tile.lanes; ++l)
      s[l] += tile.bias[l][std::clamp(key - static_cast<int64_t>(tile.position[l]), -tile.span, tile.span)];
    if (!masked && !tile.alibi) continue;
    const auto at = hn::Set(d, static_cast<T>(key));
    for (int64_t l = 0; l < tile.vectors * static_cast<int64_t>(hn::Lanes(d)); l += hn::Lanes(d)) {
      auto x = hn::LoadU(d, s + l);
      if (tile.alibi)
        x = hn::MulAdd(hn::LoadU(d, tile.slope + l), hn::Sub(at, hn::LoadU(d, tile.position + l)), x);
      if (masked) {
        const auto seen =
            hn::And(hn::Ge(at, hn::LoadU(d, tile.first + l)), hn::Lt(at, hn::LoadU(d, tile.last + l)));
        x = hn::IfThenElse(seen, x, hidden);
      }
      hn::StoreU(x, d, s + l);
    }
  }
}

template <class T>
struct KeyRows {
  const T* p = nullptr;
  int64_t ld = 0;
};

/// Rows [begin, end) of prefix and sample: where they lie, if that is one place and `copy` is false; else
/// copied into buffer [end − begin, head_dim], where strides that are a multiple of the page do no harm.
template <class T>
KeyRows<T> key_rows(const T* prefix, int64_t ld_prefix, int64_t prefix_rows, const T* own, int64_t ld,
                    int64_t begin, int64_t end, int64_t head_dim, bool copy, T* buffer) {
  if (!copy && begin >= prefix_rows) return {own + (begin - prefix_rows) * ld, ld};
  if (!copy && end <= prefix_rows) return {prefix + begin * ld_prefix, ld_prefix};
  for (int64_t j = begin; j < end; ++j) {
    const T* row = j < prefix_rows ? prefix + j * ld_prefix : own + (j - prefix_rows) * ld;
    std::memcpy(buffer + (j - begin) * head_dim, row, static_cast<size_t>(head_dim) * sizeof(T));
  }
  return {buffer, head_dim};
}

/// Keys and values of one key head.
template <class T>
struct KeyHead {
  const T *prefix_k = nullptr, *prefix_v = nullptr, *k = nullptr, *v = nullptr;
  int64_t ld_prefix = 0, ldk = 0, ldv = 0, prefix = 0, head_dim = 0;

  KeyHead(const AttentionArgs<T>& a, const AttentionSample& s, int64_t kv_head)
      : k(a.k + s.kv_begin * a.ldk + kv_head * a.head_dim),
        v(a.v + s.kv_begin * a.ldv + kv_head * a.head_dim),
        ld_prefix(a.ld_prefix),
        ldk(a.ldk),
        ldv(a.ldv),
        prefix(a.prefix),
        head_dim(a.head_dim) {
    if (prefix == 0) return;
    prefix_k = a.prefix_k + kv_head * head_dim;
    prefix_v = a.prefix_v + kv_head * head_dim;
  }
  KeyRows<T> keys(int64_t begin, int64_t end, bool copy, T* buffer) const {
    return key_rows(prefix_k, ld_prefix, prefix, k, ldk, begin, end, head_dim, copy, buffer);
  }
  KeyRows<T> values(int64_t begin, int64_t end, bool copy, T* buffer) const {
    return key_rows(prefix_v, ld_prefix, prefix, v, ldv, begin, end, head_dim, copy, buffer);
  }
};

}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
