// Error of the vector functions against the C library in long double, on every instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/ops/simd_test.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/simd/exp-inl.h"
#include "kernels/cpu/simd/lanes-inl.h"
#include "kernels/cpu/simd/math-inl.h"
#include "tests/ops/op_test.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {

enum Function { kExp, kTail, kLogistic, kComplement };

template <class T>
void evaluate(Function f, const std::vector<T>& x, std::vector<T>& y) {
  const hn::ScalableTag<T> d;
  for_each(d, static_cast<int64_t>(x.size()), [&](int64_t i, auto part) HWY_ATTR {
    auto v = load(d, x.data() + i, part), s = v, c = v;
    if (f == kExp) v = softmax_exp(d, v);
    if (f == kTail) v = normal_tail(d, v);
    if (f == kLogistic || f == kComplement) {
      logistic(d, v, s, c);
      v = f == kLogistic ? s : c;
    }
    store(d, v, y.data() + i, part);
  });
}
void evaluate_f32(int f, const std::vector<float>& x, std::vector<float>& y) {
  evaluate(static_cast<Function>(f), x, y);
}
void evaluate_f64(int f, const std::vector<double>& x, std::vector<double>& y) {
  evaluate(static_cast<Function>(f), x, y);
}

float sum_all(const std::vector<float>& x) {
  const hn::ScalableTag<float> d;
  return sum_over(d, static_cast<int64_t>(x.size()),
                  [&](hn::Vec<decltype(d)>& s, int64_t i, auto part) HWY_ATTR {
                    s = hn::Add(s, keep(d, hn::Add(load(d, x.data() + i, part), hn::Set(d, 1.0f)), part));
                  });
}

}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ft {
HWY_EXPORT(evaluate_f32);
HWY_EXPORT(evaluate_f64);
HWY_EXPORT(sum_all);

namespace test {
namespace {

enum Function { kExp, kTail, kLogistic, kComplement };

std::vector<float> values_of(Function f, const std::vector<float>& x) {
  std::vector<float> y(x.size());
  HWY_DYNAMIC_DISPATCH(evaluate_f32)(f, x, y);
  return y;
}
std::vector<double> values_of(Function f, const std::vector<double>& x) {
  std::vector<double> y(x.size());
  HWY_DYNAMIC_DISPATCH(evaluate_f64)(f, x, y);
  return y;
}

long double definition(Function f, long double x) {
  switch (f) {
    case kExp:
      return std::exp(x);
    case kTail:
      return std::erfc(x / std::sqrt(2.0L)) / 2 * std::exp(x * x / 2);
    case kLogistic:
      return 1 / (1 + std::exp(-x));
    case kComplement:
      return std::exp(-x) / (1 + std::exp(-x));
  }
  return 0;
}

/// Largest error in units of T's epsilon, relative, over `n` points of [low, high].
template <class T>
double worst(Function f, double low, double high, int n = 20001) {
  std::vector<T> x;
  for (int i = 0; i < n; ++i) x.push_back(static_cast<T>(low + (high - low) * i / (n - 1)));
  const std::vector<T> y = values_of(f, x);
  long double error = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const long double exact = definition(f, x[i]);
    error = std::max(error, std::fabs(y[i] / exact - 1));
  }
  return static_cast<double>(error) / static_cast<double>(std::numeric_limits<T>::epsilon());
}

TEST(Simd, functions_keep_their_stated_error) {
  for_each_target([] {
    EXPECT_LE(worst<float>(kExp, -87.3, 88), 1.2);
    EXPECT_LE(worst<double>(kExp, -708, 709), 1.2);
    EXPECT_LE(worst<float>(kTail, 0, 13), 3.5);
    EXPECT_LE(worst<double>(kTail, 0, 30), 4);
    EXPECT_LE(worst<float>(kLogistic, -86, 86), 3);
    EXPECT_LE(worst<float>(kComplement, -86, 86), 3);
    EXPECT_LE(worst<double>(kLogistic, -700, 700), 3);
    EXPECT_LE(worst<double>(kComplement, -700, 700), 3);
  });
}

TEST(Simd, exponential_at_its_limits) {
  const float inf = std::numeric_limits<float>::infinity();
  for_each_target([&] {
    const auto y = values_of(
        kExp, std::vector<float>{0, -0.0f, -inf, -1e30f, -100, std::numeric_limits<float>::quiet_NaN()});
    EXPECT_EQ(y[0], 1.0f);
    EXPECT_EQ(y[1], 1.0f);
    EXPECT_EQ(y[2], 0.0f);
    EXPECT_EQ(y[3], 0.0f);
    EXPECT_EQ(y[4], 0.0f);
    EXPECT_TRUE(std::isnan(y[5]));
    const auto z = values_of(kExp, std::vector<double>{0, -std::numeric_limits<double>::infinity(), -800});
    EXPECT_EQ(z[0], 1.0);
    EXPECT_EQ(z[1], 0.0);
    EXPECT_EQ(z[2], 0.0);
  });
}

TEST(Simd, sums_leave_out_what_lies_beyond_a_tail) {
  for_each_target([] {
    for (size_t n = 0; n < 70; ++n)
      EXPECT_EQ(HWY_DYNAMIC_DISPATCH(sum_all)(std::vector<float>(n, 2.0f)), 3.0f * n);
  });
}

}  // namespace
}  // namespace test
}  // namespace ft
#endif
