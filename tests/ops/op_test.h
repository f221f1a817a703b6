// What the tests of the kernels share: seeded inputs, pools of 1, 2 and 4 threads, every instruction set of
// this processor, error measures against float64, and central differences.
//
// Three properties are asked of every op:
//   result    float32 against the plain composition in float64; the allowed error is earned, expect_earned()
//   gradient  the kernel compiled for double against central differences of its own forward,
//   expect_gradient() bits      the same for any number of threads and any grouping of rows,
//   expect_same_bits()
#pragma once

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/rng.h"
#include "engine/core/segments.h"
#include "engine/core/stream.h"
#include "engine/core/tensor.h"

namespace ft::test {

/// A stream on a pool of `threads` threads that lives as long as the program.
inline CpuStream& stream(int threads = 1) {
  static ThreadPool one(1), two(2), four(4);
  static CpuStream streams[] = {CpuStream(one), CpuStream(two), CpuStream(four)};
  return streams[threads == 1 ? 0 : threads == 2 ? 1 : 2];
}
constexpr int kThreadCounts[] = {1, 2, 4};

/// Normal numbers, scaled; the same for every T up to rounding to float.
template <class T>
std::vector<T> random_vector(int64_t n, std::string_view name, double scale = 1, double shift = 0) {
  Rng rng(1234, name);
  std::vector<T> v(static_cast<size_t>(n));
  for (T& x : v) x = static_cast<T>(static_cast<float>(shift + scale * static_cast<double>(rng.normal())));
  return v;
}

/// Offsets of samples of the given lengths.
inline std::vector<int32_t> bounds_of(const std::vector<int32_t>& lengths) {
  std::vector<int32_t> b = {0};
  for (const int32_t n : lengths) b.push_back(b.back() + n);
  return b;
}
inline Segments segments_of(const std::vector<int32_t>& bounds) {
  return {bounds.data(), static_cast<int32_t>(bounds.size()) - 1};
}

/// Runs f once on each instruction set that this processor has and the library was built for. Bits are
/// promised within one set, tolerances on all.
inline void for_each_target(const std::function<void()>& f) {
  const int64_t all = hwy::SupportedTargets();
  for (int64_t left = all; left != 0; left &= left - 1) {
    const int64_t target = left & -left;
    if ((target & HWY_TARGETS) == 0) continue;
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(target);
    f();
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

template <class T>
double max_abs(const std::vector<T>& v) {
  double m = 0;
  for (const T x : v) m = std::max(m, std::fabs(static_cast<double>(x)));
  return m;
}

/// Largest |got − reference|; infinite where one is not finite and the other is, or the sizes differ.
template <class T>
double max_error(const std::vector<T>& got, const std::vector<double>& reference) {
  if (got.size() != reference.size()) return std::numeric_limits<double>::infinity();
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double g = static_cast<double>(got[i]), r = reference[i];
    if (std::isnan(g) && std::isnan(r)) continue;
    if (g == r) continue;
    const double e = std::fabs(g - r);
    if (!(e <= worst)) worst = std::isnan(e) ? std::numeric_limits<double>::infinity() : e;
  }
  return worst;
}

/// The earned tolerance: the kernel's error against float64 is at most twice that of `plain`, the
/// straightforward loop in the same precision, plus `slack` units of rounding at the largest magnitude (both
/// errors are random).
template <class T>
void expect_earned(const std::vector<T>& got, const std::vector<T>& plain,
                   const std::vector<double>& reference, double slack = 1) {
  const double unit = static_cast<double>(std::numeric_limits<T>::epsilon()) / 2 * max_abs(reference);
  EXPECT_LE(max_error(got, reference), 2 * max_error(plain, reference) + slack * unit);
}

template <class T>
void expect_same_bits(const std::vector<T>& a, const std::vector<T>& b, std::string_view what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  if (a.empty()) return;
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(T)), 0) << what;
}

/// [rows, values.size() / rows] in double, for a tape.
inline Tensor tensor_of(const std::vector<double>& values, int64_t rows) {
  const Tensor t = Tensor::empty({rows, static_cast<int64_t>(values.size()) / rows}, DType::f64);
  std::copy(values.begin(), values.end(), t.data<double>());
  return t;
}

/// Compares `analytic`, the gradient with respect to x, with central differences of loss(x). At most `probes`
/// elements are tried, spread evenly. The error is relative to the largest element of the gradient: what is
/// left is the difference's own truncation (eps²) and rounding (1e-16·loss/eps).
inline void expect_gradient(std::vector<double>& x, const std::function<double()>& loss,
                            const std::vector<double>& analytic, double tolerance = 2e-8, double eps = 1e-5,
                            int64_t probes = 48) {
  ASSERT_EQ(x.size(), analytic.size());
  const auto n = static_cast<int64_t>(x.size());
  const double scale = std::max(max_abs(analytic), 1e-3);
  const int64_t step = std::max<int64_t>(1, n / probes);
  for (int64_t i = 0; i < n; i += step) {
    const auto at = static_cast<size_t>(i);
    const double kept = x[at];
    x[at] = kept + eps;
    const double up = loss();
    x[at] = kept - eps;
    const double down = loss();
    x[at] = kept;
    EXPECT_NEAR(analytic[at] / scale, (up - down) / (2 * eps) / scale, tolerance) << "element " << i;
  }
}

/// Σ a·b in double: the scalar loss whose gradient with respect to a is b.
template <class T>
double dot(const std::vector<T>& a, const std::vector<T>& b) {
  double s = 0;
  for (size_t i = 0; i < a.size(); ++i) s += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return s;
}

template <class T>
std::vector<double> widen(const std::vector<T>& v) {
  return std::vector<double>(v.begin(), v.end());
}
template <class T>
std::vector<T> narrow(const std::vector<double>& v) {
  std::vector<T> out(v.size());
  for (size_t i = 0; i < v.size(); ++i) out[i] = static_cast<T>(v[i]);
  return out;
}

}  // namespace ft::test
