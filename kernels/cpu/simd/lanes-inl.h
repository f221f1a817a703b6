// Loops over contiguous elements in vectors of the widest size, and sums in a fixed order.
//
// A loop's body gets a `part`: Full for a whole vector, Tail for the last elements of a buffer. Loads through
// it fill the lanes beyond the tail with zeros and stores never touch them, so a body is written once, an
// element's bits do not depend on where it stands, and nothing is read or written out of bounds.
//
// Included once an instruction set (Highway's foreach_target); everything lives in ft::HWY_NAMESPACE.
#if defined(FT_KERNELS_CPU_SIMD_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FT_KERNELS_CPU_SIMD_LANES_INL_H_
#undef FT_KERNELS_CPU_SIMD_LANES_INL_H_
#else
#define FT_KERNELS_CPU_SIMD_LANES_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

struct Full {};
struct Tail {
  size_t count;  // 0 < count < lanes
};

template <class D, class T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> load(D d, const T* p, Full) {
  return hn::LoadU(d, p);
}
template <class D, class T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> load(D d, const T* p, Tail tail) {
  HWY_ALIGN T lanes[HWY_MAX_BYTES / sizeof(T)] = {};
  std::memcpy(lanes, p, tail.count * sizeof(T));
  return hn::Load(d, lanes);
}
template <class D, class T = hn::TFromD<D>>
HWY_INLINE void store(D d, hn::Vec<D> v, T* p, Full) {
  hn::StoreU(v, d, p);
}
template <class D, class T = hn::TFromD<D>>
HWY_INLINE void store(D d, hn::Vec<D> v, T* p, Tail tail) {
  HWY_ALIGN T lanes[HWY_MAX_BYTES / sizeof(T)];
  hn::Store(v, d, lanes);
  std::memcpy(p, lanes, tail.count * sizeof(T));
}

/// Zero beyond the tail: for values that a zero input does not make zero.
template <class D>
HWY_INLINE hn::Vec<D> keep(D, hn::Vec<D> v, Full) {
  return v;
}
template <class D>
HWY_INLINE hn::Vec<D> keep(D d, hn::Vec<D> v, Tail tail) {
  return hn::IfThenElseZero(hn::FirstN(d, tail.count), v);
}

/// f(i, part) for every vector of n elements.
template <class D, class F>
HWY_INLINE void for_each(D d, int64_t n, F&& f) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    f(i, Full{});
    f(i + lanes, Full{});
  }
  if (i + lanes <= n) {
    f(i, Full{});
    i += lanes;
  }
  if (i < n) f(i, Tail{static_cast<size_t>(n - i)});
}

/// The sum that f(sum, i, part) adds to, over n elements: four running sums, which hide the latency of an
/// addition, joined in a fixed order. f must add zero beyond a tail.
template <class D, class F>
HWY_INLINE hn::TFromD<D> sum_over(D d, int64_t n, F&& f) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<D> s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    f(s0, i, Full{});
    f(s1, i + lanes, Full{});
    f(s2, i + 2 * lanes, Full{});
    f(s3, i + 3 * lanes, Full{});
  }
  for (; i + lanes <= n; i += lanes) f(s0, i, Full{});
  if (i < n) f(s1, i, Tail{static_cast<size_t>(n - i)});
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3))));
}

/// Two such sums in one pass: f(a, b, i, part).
template <class D, class F>
HWY_INLINE void sum_two_over(D d, int64_t n, hn::TFromD<D>& a, hn::TFromD<D>& b, F&& f) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<D> a0 = hn::Zero(d), a1 = a0, b0 = a0, b1 = a0;
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    f(a0, b0, i, Full{});
    f(a1, b1, i + lanes, Full{});
  }
  if (i + lanes <= n) {
    f(a0, b0, i, Full{});
    i += lanes;
  }
  if (i < n) f(a1, b1, i, Tail{static_cast<size_t>(n - i)});
  a = hn::GetLane(hn::SumOfLanes(d, hn::Add(a0, a1)));
  b = hn::GetLane(hn::SumOfLanes(d, hn::Add(b0, b1)));
}

}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
