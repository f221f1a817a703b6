// Softmax cross entropy of a row of logits, two passes over memory and one exponential a logit.
//
// First pass, block by block (a block stays in L1): the block's largest logit; then e^(z − m) with m the
// largest so far, summed, and stored in place when the gradient is wanted. The row's sum is rescaled when m
// grows (Milakov and Gimelshein 2018). Second pass, gradient only: each block times scale·e^(m_block −
// m_row)/sum; minus scale at the target. No exponent is ever positive, so no logit is too large; a row with
// NaN or +inf gives NaN. Sums of a block are in T, their total in double.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/cross_entropy.cpp"
#include "engine/ops/cross_entropy.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/blocks.h"
#include "kernels/cpu/simd/exp-inl.h"
#include "kernels/cpu/simd/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {

constexpr int64_t kBlock = 4096;  // logits a block: 16 KB of float, half of a small L1

template <class T>
T largest(const T* z, int64_t n) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto none = hn::Set(d, -std::numeric_limits<T>::infinity());
  auto m0 = none, m1 = none, m2 = none, m3 = none;
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    m0 = hn::Max(m0, hn::LoadU(d, z + i));
    m1 = hn::Max(m1, hn::LoadU(d, z + i + lanes));
    m2 = hn::Max(m2, hn::LoadU(d, z + i + 2 * lanes));
    m3 = hn::Max(m3, hn::LoadU(d, z + i + 3 * lanes));
  }
  for (; i + lanes <= n; i += lanes) m0 = hn::Max(m0, hn::LoadU(d, z + i));
  T m = hn::GetLane(hn::MaxOfLanes(d, hn::Max(hn::Max(m0, m1), hn::Max(m2, m3))));
  for (; i < n; ++i) m = z[i] > m ? z[i] : m;
  return m;
}

template <class T>
int64_t first_equal(const T* z, int64_t n, T value) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto wanted = hn::Set(d, value);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto hit = hn::Eq(hn::LoadU(d, z + i), wanted);
    if (!hn::AllFalse(d, hit)) return i + hn::FindFirstTrue(d, hit);
  }
  while (i < n - 1 && z[i] != value) ++i;
  return i;
}

/// Σ e^(z − m); the terms replace z when `keep_terms`.
template <class T>
T sum_exp(T* z, int64_t n, T m, bool keep_terms) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const V shift = hn::Set(d, m);
  if (!keep_terms) {
    return sum_over(d, n, [&](V& s, int64_t i, auto part) HWY_ATTR {
      s = hn::Add(s, keep(d, softmax_exp(d, hn::Sub(load(d, z + i, part), shift)), part));
    });
  }
  return sum_over(d, n, [&](V& s, int64_t i, auto part) HWY_ATTR {
    const V e = softmax_exp(d, hn::Sub(load(d, z + i, part), shift));
    store(d, e, z + i, part);
    s = hn::Add(s, keep(d, e, part));
  });
}

template <class T>
void cross_entropy_row(const CrossEntropyArgs<T>& args, int64_t row, std::vector<T>& block_max) {
  constexpr T none = -std::numeric_limits<T>::infinity();
  const hn::ScalableTag<T> d;
  T* z = args.logits + row * args.ld;
  const int32_t target = args.targets[row];
  const double target_logit = static_cast<double>(z[target]);

  T m = none;
  double sum = 0;
  int64_t at = 0;
  for (int64_t begin = 0, block = 0; begin < args.classes; begin += kBlock, ++block) {
    const int64_t n = std::min(kBlock, args.classes - begin);
    const T top = largest(z + begin, n);
    if (top > m) {
      sum *= std::exp(static_cast<double>(m) - static_cast<double>(top));
      m = top;
      if (args.argmax) at = begin + first_equal(z + begin, n, top);
    }
    // While all logits are −inf (or NaN) their terms are e^z itself: 0 (or NaN).
    sum += static_cast<double>(sum_exp(z + begin, n, m == none ? T{0} : m, args.gradient));
    block_max[static_cast<size_t>(block)] = m;
  }
  args.loss[row] = std::log(sum) + (static_cast<double>(m) - target_logit);
  if (args.argmax) args.argmax[row] = static_cast<int32_t>(at);
  if (!args.gradient) return;

  for (int64_t begin = 0, block = 0; begin < args.classes; begin += kBlock, ++block) {
    const double shift = static_cast<double>(block_max[static_cast<size_t>(block)]) - static_cast<double>(m);
    const auto factor = hn::Set(d, static_cast<T>(static_cast<double>(args.scale) * std::exp(shift) / sum));
    T* e = z + begin;
    for_each(d, std::min(kBlock, args.classes - begin), [&](int64_t i, auto part) HWY_ATTR {
      store(d, hn::Mul(factor, load(d, e + i, part)), e + i, part);
    });
  }
  z[target] -= args.scale;
}

template <class T>
void cross_entropy_impl(CpuStream& stream, const CrossEntropyArgs<T>& args) {
  parallel_blocks(stream, args.rows, rows_per_task(args.classes), [&](int64_t begin, int64_t end) HWY_ATTR {
    std::vector<T> block_max(static_cast<size_t>((args.classes + kBlock - 1) / kBlock));
    for (int64_t row = begin; row < end; ++row) cross_entropy_row(args, row, block_max);
  });
}

void cross_entropy_f32(CpuStream& s, const CrossEntropyArgs<float>& a) {
  cross_entropy_impl(s, a);
}
void cross_entropy_f64(CpuStream& s, const CrossEntropyArgs<double>& a) {
  cross_entropy_impl(s, a);
}

}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ft {

HWY_EXPORT(cross_entropy_f32);
HWY_EXPORT(cross_entropy_f64);

void cross_entropy(CpuStream& s, const CrossEntropyArgs<float>& a) {
  HWY_DYNAMIC_DISPATCH(cross_entropy_f32)(s, a);
}
void cross_entropy(CpuStream& s, const CrossEntropyArgs<double>& a) {
  HWY_DYNAMIC_DISPATCH(cross_entropy_f64)(s, a);
}

}  // namespace ft
#endif
