// Dropout with counter-based bits: element j of token t is word j % 4 of philox block j / 4
// (engine/core/rng.h, dropout_bits), computed for as many blocks at once as a vector has 32-bit lanes.
// Nothing is saved for backward: the mask is recomputed, at some 2 cycles an element.
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
using V64 = hn::Vec<hn::RepartitionToWide<D32>>;

/// The ten round keys, one vector each and the two words of a round one after the other.
struct RoundKeys {
  explicit RoundKeys(uint64_t key) {
    const D32 d;
    uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
    for (size_t round = 0; round < 10; ++round) {
      hn::Store(hn::Set(d, k0), d, words + 2 * round * hn::Lanes(d));
      hn::Store(hn::Set(d, k1), d, words + (2 * round + 1) * hn::Lanes(d));
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
    }
  }
  HWY_ALIGN uint32_t words[20 * HWY_MAX_BYTES / sizeof(uint32_t)];
};

/// Philox of one block a 64-bit lane, each word in the lane's lower half: the multiplication reads only that,
/// so whatever stands in the upper half never has to be cleared.
struct Counters {
  V64 c0, c1, c2, c3;
  HWY_INLINE void round(V32 k0, V32 k1) {
    const D32 d;
    const hn::RepartitionToWide<D32> d64;
    const V64 p0 = hn::MulEven(hn::BitCast(d, c0), hn::Set(d, 0xD2511F53u));
    const V64 p1 = hn::MulEven(hn::BitCast(d, c2), hn::Set(d, 0xCD9E8D57u));
    c0 = hn::Xor(hn::ShiftRight<32>(p1), hn::Xor(c1, hn::BitCast(d64, k0)));
    c2 = hn::Xor(hn::ShiftRight<32>(p0), hn::Xor(c3, hn::BitCast(d64, k1)));
    c1 = p1;
    c3 = p0;
  }
};

/// keep[j] = all ones where element first + j of the token is kept, for 4·lanes elements: as many blocks as
/// there are 32-bit lanes, the even and the odd ones as two chains side by side.
HWY_INLINE void keep_words(int32_t below, const RoundKeys& keys, uint32_t site, uint32_t row,
                           uint32_t position, int64_t first, uint32_t* keep) {
  const D32 d;
  const hn::RebindToSigned<D32> di;
  const hn::RepartitionToWide<D32> d64;
  const V32 numbers = hn::Add(hn::Iota(d, 0), hn::Set(d, static_cast<uint32_t>(first / 4)));
  const V64 blocks = hn::BitCast(d64, numbers);
  Counters even{blocks, hn::Set(d64, position), hn::Set(d64, row), hn::Set(d64, site)}, odd = even;
  odd.c0 = hn::ShiftRight<32>(blocks);
  for (size_t round = 0; round < 10; ++round) {
    const V32 k0 = hn::Load(d, keys.words + 2 * round * hn::Lanes(d));
    const V32 k1 = hn::Load(d, keys.words + (2 * round + 1) * hn::Lanes(d));
    even.round(k0, k1);
    odd.round(k0, k1);
  }
  const auto kept = [&](V64 e, V64 o) HWY_ATTR {
    const V32 word = hn::OddEven(hn::BitCast(d, hn::ShiftLeft<32>(o)), hn::BitCast(d, e));
    const auto mask = hn::Gt(hn::BitCast(di, hn::ShiftRight<8>(word)), hn::Set(di, below));
    return hn::BitCast(d, hn::VecFromMask(di, mask));
  };
  hn::StoreInterleaved4(kept(even.c0, odd.c0), kept(even.c1, odd.c1), kept(even.c2, odd.c2),
                        kept(even.c3, odd.c3), d, keep);
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
void dropout_token(const DropoutArgs<T>& args, const RoundKeys& keys, int64_t token, int32_t below,
                   T factor) {
  const D32 d32;
  const hn::ScalableTag<T> d;
  const auto vector_factor = hn::Set(d, factor);
  const auto chunk = static_cast<int64_t>(4 * hn::Lanes(d32));
  HWY_ALIGN uint32_t keep[HWY_MAX_BYTES];
  const T* x = args.x + token * args.cols;
  T* y = args.y + token * args.cols;
  for (int64_t first = 0; first < args.cols; first += chunk) {
    keep_words(below, keys, args.site, static_cast<uint32_t>(args.row[token]),
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

struct RoundKeys {
  explicit RoundKeys(uint64_t) {}
};

template <class T>
void dropout_token(const DropoutArgs<T>& args, const RoundKeys&, int64_t token, int32_t below, T factor) {
  const auto row = static_cast<uint32_t>(args.row[token]),
             position = static_cast<uint32_t>(args.position[token]);
  Philox4 words{};
  for (int64_t j = 0; j < args.cols; ++j) {
    if (j % 4 == 0) words = dropout_bits(args.key, args.site, row, position, static_cast<uint32_t>(j / 4));
    const int64_t at = token * args.cols + j;
    const auto unit = static_cast<int32_t>(words[static_cast<size_t>(j % 4)] >> 8);
    const T v = unit > below ? factor * args.x[at] : T{0};
    args.y[at] = args.accumulate ? args.y[at] + v : v;
  }
}

#endif

template <class T>
void dropout_impl(CpuStream& stream, const DropoutArgs<T>& args) {
  const double p = std::fmin(std::fmax(static_cast<double>(args.p), 0.0), 1.0);
  // unit_float(word) >= p  ⇔  word >> 8 > ⌈p·2^24⌉ − 1; all of them fit a signed word.
  const auto below = static_cast<int32_t>(std::ceil(p * 0x1p24)) - 1;
  const auto factor = static_cast<T>(1.0 / (1.0 - p));
  parallel_blocks(stream, args.tokens, rows_per_task(args.cols, kTaskElements / 2),
                  [&](int64_t begin, int64_t end) HWY_ATTR {
                    const RoundKeys keys(args.key);
                    for (int64_t token = begin; token < end; ++token)
                      dropout_token(args, keys, token, below, factor);
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
