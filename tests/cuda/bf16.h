// bfloat16 in the CUDA tests: numbers that both sides hold exactly, and what an error may be.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <string_view>
#include <vector>

#include "engine/core/dtype.h"
#include "tests/ops/op_test.h"

namespace ft::test {

/// v as an op's activations of type T: itself, or rounded to bfloat16.
template <class T>
std::vector<T> as_type(const std::vector<float>& v) {
  std::vector<T> out;
  out.reserve(v.size());
  for (const float x : v) {
    if constexpr (std::is_same_v<T, BF16>)
      out.push_back(to_bf16(x));
    else
      out.push_back(static_cast<T>(x));
  }
  return out;
}
/// The numbers that v stands for.
template <class T>
std::vector<double> exactly(const std::vector<T>& v) {
  std::vector<double> out;
  out.reserve(v.size());
  for (const T x : v) {
    if constexpr (std::is_same_v<T, BF16>)
      out.push_back(static_cast<double>(to_float(x)));
    else
      out.push_back(static_cast<double>(x));
  }
  return out;
}
/// Normal numbers that bfloat16 holds exactly, so that a test of it starts from equal inputs on both sides.
inline std::vector<float> random_bf16(int64_t n, std::string_view name, double scale = 1, double shift = 0) {
  auto v = random_vector<float>(n, name, scale, shift);
  for (float& x : v) x = to_float(to_bf16(x));
  return v;
}

/// Normal numbers that T holds exactly, as floats: a test starts from equal inputs on both sides.
template <class T>
std::vector<float> random_inputs(int64_t n, std::string_view name, double scale = 1, double shift = 0) {
  if constexpr (std::is_same_v<T, BF16>)
    return random_bf16(n, name, scale, shift);
  else
    return random_vector<float>(n, name, scale, shift);
}

/// Every element is `reference` rounded once to bfloat16 (half a unit in the last place: 2^-8 of it), after a
/// float32 computation whose own error is at most `slack` roundings of the largest magnitude.
inline void expect_rounded(const std::vector<BF16>& got, const std::vector<double>& reference,
                           double slack = 8) {
  ASSERT_EQ(got.size(), reference.size());
  const double computed = slack * 0x1p-24 * max_abs(reference);
  for (size_t i = 0; i < got.size(); ++i) {
    const double error = std::fabs(static_cast<double>(to_float(got[i])) - reference[i]);
    ASSERT_LE(error, 0x1p-8 * std::fabs(reference[i]) + computed) << "element " << i;
  }
}
/// expect_earned of tests/ops/op_test.h for a result of either type: the computation is as exact as `plain`,
/// a straightforward one in float32 from the same inputs; bfloat16 is rounded once from it.
inline void expect_earned_as(const std::vector<float>& got, const std::vector<float>& plain,
                             const std::vector<double>& reference, double slack = 1) {
  expect_earned(got, plain, reference, slack);
}
inline void expect_earned_as(const std::vector<BF16>& got, const std::vector<float>& plain,
                             const std::vector<double>& reference, double slack = 1) {
  const double unit = 0x1p-24 * max_abs(reference);
  expect_rounded(got, reference, slack + (unit > 0 ? 2 * max_error(plain, reference) / unit : 0));
}
/// A sum over many bfloat16 roundings: at most `units` half units of the largest magnitude.
inline void expect_bf16_units(const std::vector<BF16>& got, const std::vector<double>& reference,
                              double units) {
  EXPECT_LE(max_error(exactly(got), reference), units * 0x1p-8 * max_abs(reference));
}

}  // namespace ft::test
