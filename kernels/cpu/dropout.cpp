// Dropout with counter-based bits: element j of token t is word j % 4 of philox block j / 4
// (engine/core/rng.h, dropout_bits), computed for as many blocks at once as a vector has 32-bit lanes.
// Nothing is saved for backward: the mask is recomputed, at some 4 cycles an element.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/dropout.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>

#include "engine/core/rng.h"
#include "engine/ops/elementwise.h"
#include "kernels/cpu/blocks.h"
#include "kernels/cpu/simd/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {

#if HWY_TARGET != HWY_SCALAR
using D32 = hn::ScalableTag<uint32_t>;
using V32 = hn::Vec<D32>;

/// Low and high halves of the 64-bit products of each lane with `factor`.
HWY_INLINE void wide_product(D32 d, V32 x, V32 factor, V32& low, V32& high) {
  const hn::RepartitionToWide<D32> d64;
  const auto even = hn::MulEven(x, factor);
  const auto odd = hn::MulEven(hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(d64, x))), factor);
  low = hn::OddEven(hn::BitCast(d, hn::ShiftLeft<32>(odd)), hn::BitCast(d, even));
  high = hn::OddEven(hn::BitCast(d, odd), hn::BitCast(d, hn::ShiftRight<32>(even)));
}

/// Words of blocks block, block + 1, …: c0 … c3 hold word 0 … 3 of each.
HWY_INLINE void philox_blocks(D32 d, uint64_t key, uint32_t site, uint32_t row, uint32_t position,
                              uint32_t block, V32& c0, V32& c1, V32& c2, V32& c3) {
  const V32 m0 = hn::Set(d, 0xD2511F53u), m1 = hn::Set(d, 0xCD9E8D57u);
  c0 = hn::Iota(d, block);
  c1 = hn::Set(d, position);
  c2 = hn::Set(d, row);
  c3 = hn::Set(d, site);
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    V32 low0, high0, low1, high1;
    wide_product(d, c0, m0, low0, high0);
    wide_product(d, c2, m1, low1, high1);
    c0 = hn::Xor(hn::Xor(high1, c1), hn::Set(d, k0));
    c1 = low1;
    c2 = hn::Xor(hn::Xor(high0, c3), hn::Set(d, k1));
    c3 = low0;
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
}

/// keep[j] = all ones where element first + j is kept, for the 4·lanes elements from `first`.
HWY_INLINE void keep_words(D32 d, const V32 threshold, uint64_t key, uint32_t site, uint32_t row,
                           uint32_t position, int64_t first, uint32_t* keep) {
  const hn::RebindToSigned<D32> di;
  V32 c0, c1, c2, c3;
  philox_blocks(d, key, site, row, position, static_cast<uint32_t>(first / 4), c0, c1, c2, c3);
  // unit_float(word) >= p  ⇔  word >> 8 >= ⌈p·2^24⌉: both sides fit a signed word.
  const auto kept = [&](V32 c) HWY_ATTR {
    const auto drop = hn::Gt(hn::BitCast(di, threshold), hn::BitCast(di, hn::ShiftRight<8>(c)));
    return hn::BitCast(d, hn::VecFromMask(di, hn::Not(drop)));
  };
  hn::StoreInterleaved4(kept(c0), kept(c1), kept(c2), kept(c3), d, keep);
}

HWY_INLINE hn::Vec<hn::ScalableTag<float>> load_keep(hn::ScalableTag<float> d, const uint32_t* keep) {
  return hn::BitCast(d, hn::LoadU(D32(), keep));
}
HWY_INLINE hn::Vec<hn::ScalableTag<double>> load_keep(hn::ScalableTag<double> d, const uint32_t* keep) {
  const hn::RebindToSigned<decltype(d)> d64;
  const hn::Rebind<int32_t, decltype(d)> d32;
  return hn::BitCast(d, hn::PromoteTo(d64, hn::LoadU(d32, reinterpret_cast<const int32_t*>(keep))));
}

template <class T>
void dropout_token(const DropoutArgs<T>& args, int64_t token, uint32_t threshold, T factor) {
  const D32 d32;
  const hn::ScalableTag<T> d;
  const auto vector_factor = hn::Set(d, factor);
  const auto chunk = static_cast<int64_t>(4 * hn::Lanes(d32));
  HWY_ALIGN uint32_t keep[HWY_MAX_BYTES];
  const T* x = args.x + token * args.cols;
  T* y = args.y + token * args.cols;
  for (int64_t first = 0; first < args.cols; first += chunk) {
    keep_words(d32, hn::Set(d32, threshold), args.key, args.site, static_cast<uint32_t>(args.row[token]),
               static_cast<uint32_t>(args.position[token]), first, keep);
    const T* from = x + first;
    T* to = y + first;
    for_each(d, std::min(chunk, args.cols - first), [&](int64_t i, auto part) HWY_ATTR {
      auto v = hn::And(load_keep(d, keep + i), hn::Mul(vector_factor, load(d, from + i, part)));
      if (args.accumulate) v = hn::Add(load(d, to + i, part), v);
      store(d, v, to + i, part);
    });
  }
}

#else  // the definition itself

template <class T>
void dropout_token(const DropoutArgs<T>& args, int64_t token, uint32_t threshold, T factor) {
  const auto row = static_cast<uint32_t>(args.row[token]),
             position = static_cast<uint32_t>(args.position[token]);
  Philox4 words{};
  for (int64_t j = 0; j < args.cols; ++j) {
    if (j % 4 == 0) words = dropout_bits(args.key, args.site, row, position, static_cast<uint32_t>(j / 4));
    const int64_t at = token * args.cols + j;
    const T v = words[static_cast<size_t>(j % 4)] >> 8 >= threshold ? factor * args.x[at] : T{0};
    args.y[at] = args.accumulate ? args.y[at] + v : v;
  }
}

#endif

template <class T>
void dropout_impl(CpuStream& stream, const DropoutArgs<T>& args) {
  const double p = std::fmin(std::fmax(static_cast<double>(args.p), 0.0), 1.0);
  const auto threshold = static_cast<uint32_t>(std::ceil(p * 0x1p24));
  const auto factor = static_cast<T>(1.0 / (1.0 - p));
  parallel_blocks(stream, args.tokens, rows_per_task(args.cols, kTaskElements / 2),
                  [&](int64_t begin, int64_t end) HWY_ATTR {
                    for (int64_t token = begin; token < end; ++token)
                      dropout_token(args, token, threshold, factor);
                  });
}

void dropout_f32(CpuStream& s, const DropoutArgs<float>& a) {
  dropout_impl(s, a);
}
void dropout_f64(CpuStream& s, const DropoutArgs<double>& a) {
  dropout_impl(s, a);
}

}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ft {

HWY_EXPORT(dropout_f32);
HWY_EXPORT(dropout_f64);

void dropout(CpuStream& s, const DropoutArgs<float>& a) {
  HWY_DYNAMIC_DISPATCH(dropout_f32)(s, a);
}
void dropout(CpuStream& s, const DropoutArgs<double>& a) {
  HWY_DYNAMIC_DISPATCH(dropout_f64)(s, a);
}

}  // namespace ft
#endif
