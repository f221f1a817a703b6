// Rotary embedding in place: every pair (a, b) of a head becomes (a·cos − b·sin, a·sin + b·cos); the inverse,
// which is the backward, turns by −angle. A pair's bits do not depend on where it stands. Memory bound: 2
// reads, 1 write.
#include "engine/ops/rope.h"

#include <algorithm>

#include "engine/core/check.h"
#include "kernels/cpu/blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/rope.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/simd/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Turns the vectors of pairs (a, b) by the angles of (cos, sin), or by minus them.
template <class D, class V = hn::Vec<D>>
HWY_INLINE void turn(V& a, V& b, V cos, V sin, bool inverse) {
  if (inverse) sin = hn::Neg(sin);
  const V x = a;
  a = hn::NegMulAdd(b, sin, hn::Mul(x, cos));
  b = hn::MulAdd(b, cos, hn::Mul(x, sin));
}

/// Pairs (x[i], x[i + half]).
template <class T>
void rope_halves(T* x, const T* cos, const T* sin, int64_t half, bool inverse) {
  const hn::ScalableTag<T> d;
  for_each(d, half, [&](int64_t i, auto part) HWY_ATTR {
    auto a = load(d, x + i, part), b = load(d, x + half + i, part);
    turn<decltype(d)>(a, b, load(d, cos + i, part), load(d, sin + i, part), inverse);
    store(d, a, x + i, part);
    store(d, b, x + half + i, part);
  });
}

/// Pairs (x[2i], x[2i + 1]).
template <class T>
void rope_neighbours(T* x, const T* cos, const T* sin, int64_t half, bool inverse) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for_each(d, half, [&](int64_t i, auto part) HWY_ATTR {
    T pairs[2 * HWY_MAX_BYTES / sizeof(T)] = {};
    const int64_t n = std::min(lanes, half - i);
    std::memcpy(pairs, x + 2 * i, static_cast<size_t>(2 * n) * sizeof(T));
    hn::Vec<decltype(d)> a, b;
    hn::LoadInterleaved2(d, pairs, a, b);
    turn<decltype(d)>(a, b, load(d, cos + i, part), load(d, sin + i, part), inverse);
    hn::StoreInterleaved2(a, b, d, pairs);
    std::memcpy(x + 2 * i, pairs, static_cast<size_t>(2 * n) * sizeof(T));
  });
}

template <class T>
void rope_tokens(const RopeArgs<T>& a, int64_t begin, int64_t end) {
  const int64_t half = a.rotary_dim / 2;
  for (int64_t t = begin; t < end; ++t)
    for (int64_t h = 0; h < a.heads; ++h) {
      T* x = a.x + t * a.ld + h * a.head_dim;
      if (a.interleaved)
        rope_neighbours(x, a.cos + t * half, a.sin + t * half, half, a.inverse);
      else
        rope_halves(x, a.cos + t * half, a.sin + t * half, half, a.inverse);
    }
}

void rope_tokens_f32(const RopeArgs<float>& a, int64_t begin, int64_t end) {
  rope_tokens(a, begin, end);
}
void rope_tokens_f64(const RopeArgs<double>& a, int64_t begin, int64_t end) {
  rope_tokens(a, begin, end);
}

}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ft {

HWY_EXPORT(rope_tokens_f32);
HWY_EXPORT(rope_tokens_f64);

namespace {

template <class T, class Tokens>
void run_rope(CpuStream& stream, const RopeArgs<T>& a, Tokens tokens) {
  FT_CHECK(a.rotary_dim >= 0 && a.rotary_dim % 2 == 0 && a.rotary_dim <= a.head_dim,
           "[rope] expected an even rotary_dim of at most head_dim = {}, got {}", a.head_dim, a.rotary_dim);
  if (a.rotary_dim == 0) return;
  parallel_blocks(stream, a.tokens, rows_per_task(a.heads * a.rotary_dim),
                  [&](int64_t begin, int64_t end) { tokens(a, begin, end); });
}

}  // namespace

void rope(CpuStream& stream, const RopeArgs<float>& args) {
  run_rope(stream, args, HWY_DYNAMIC_DISPATCH(rope_tokens_f32));
}
void rope(CpuStream& stream, const RopeArgs<double>& args) {
  run_rope(stream, args, HWY_DYNAMIC_DISPATCH(rope_tokens_f64));
}

}  // namespace ft
#endif
