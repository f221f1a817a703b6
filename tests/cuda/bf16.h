// The 16-bit types, bfloat16 and float16, in the CUDA tests: numbers that both sides hold exactly, and what
// an error may be.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <string_view>
#include <vector>

#include "engine/core/dtype.h"
#include "tests/ops/op_test.h"

namespace ft::test {

/// v as a T: itself, or rounded.
template <class T>
T to_type(float v) {
  if constexpr (std::is_same_v<T, BF16>)
    return to_bf16(v);
  else if constexpr (std::is_same_v<T, F16>)
    return to_f16(v);
  else
    return static_cast<T>(v);
}
/// v as an op's activations of type T.
template <class T>
std::vector<T> as_type(const std::vector<float>& v) {
  std::vector<T> out;
  out.reserve(v.size());
  for (const float x : v) out.push_back(to_type<T>(x));
  return out;
}
/// The numbers that v stands for.
template <class T>
std::vector<double> exactly(const std::vector<T>& v) {
  std::vector<double> out;
  out.reserve(v.size());
  for (const T x : v) {
    if constexpr (sizeof(T) == 2)
      out.push_back(static_cast<double>(to_float(x)));
    else
      out.push_back(static_cast<double>(x));
  }
  return out;
}

/// Normal numbers that T holds exactly, as floats: a test starts from equal inputs on both sides.
template <class T>
std::vector<float> random_inputs(int64_t n, std::string_view name, double scale = 1, double shift = 0) {
  auto v = random_vector<float>(n, name, scale, shift);
  if constexpr (sizeof(T) == 2)
    for (float& x : v) x = to_float(to_type<T>(x));
  return v;
}
inline std::vector<float> random_bf16(int64_t n, std::string_view name, double scale = 1, double shift = 0) {
  return random_inputs<BF16>(n, name, scale, shift);
}

/// Half a unit in the last place, relative to the number and, of subnormal numbers, by itself.
template <class T>
constexpr double kHalfUnit = std::is_same_v<T, BF16> ? 0x1p-8 : 0x1p-11;
template <class T>
constexpr double kLeastHalfUnit = std::is_same_v<T, BF16> ? 0x1p-134 : 0x1p-25;

/// Every element is `reference` rounded once to T, of 16 bits (half a unit in the last place), after a
/// float32 computation whose own error is at most `slack` roundings of the largest magnitude.
template <class T>
void expect_rounded(const std::vector<T>& got, const std::vector<double>& reference, double slack = 8) {
  ASSERT_EQ(got.size(), reference.size());
  const double computed = slack * 0x1p-24 * max_abs(reference) + kLeastHalfUnit<T>;
  for (size_t i = 0; i < got.size(); ++i) {
    const double error = std::fabs(static_cast<double>(to_float(got[i])) - reference[i]);
    ASSERT_LE(error, kHalfUnit<T> * std::fabs(reference[i]) + computed) << "element " << i;
  }
}
/// expect_earned of tests/ops/op_test.h for a result of any type: the computation is as exact as `plain`,
/// a straightforward one in float32 from the same inputs; 16 bits are rounded once from it.
inline void expect_earned_as(const std::vector<float>& got, const std::vector<float>& plain,
                             const std::vector<double>& reference, double slack = 1) {
  expect_earned(got, plain, reference, slack);
}
template <class T>
void expect_earned_as(const std::vector<T>& got, const std::vector<float>& plain,
                      const std::vector<double>& reference, double slack = 1) {
  const double unit = 0x1p-24 * max_abs(reference);
  expect_rounded(got, reference, slack + (unit > 0 ? 2 * max_error(plain, reference) / unit : 0));
}
/// A sum over many roundings to T: at most `units` half units of the largest magnitude.
template <class T>
void expect_half_units(const std::vector<T>& got, const std::vector<double>& reference, double units) {
  EXPECT_LE(max_error(exactly(got), reference), units * kHalfUnit<T> * max_abs(reference));
}

}  // namespace ft::test
