#include "engine/ops/optimizer.h"

#include <fmt/format.h>

#include "tests/ops/op_test.h"
#include "tests/ops/optimizer_cases.h"
#include "tests/ops/optimizer_oracle.h"

namespace ft::test {
namespace {

constexpr int kSteps = 10;

template <class T>
struct AdamWRun {
  explicit AdamWRun(const AdamWCase& c)
      : spec(c), w(random_vector<T>(c.count, "w")), m(w.size()), v(w.size()) {}
  template <class F>
  void steps(F step) {
    for (int64_t t = 1; t <= kSteps; ++t) {
      const auto grad = random_vector<T>(spec.count, fmt::format("grad{}", t), 0.1);
      step(AdamWArgs<T>{spec.count, w.data(), grad.data(), m.data(), v.data(), spec.lr, spec.beta1,
                        spec.beta2, spec.eps, spec.weight_decay, spec.grad_scale, t});
    }
  }
  AdamWCase spec;
  std::vector<T> w, m, v;
};

class AdamW : public ::testing::TestWithParam<AdamWCase> {};

TEST_P(AdamW, follows_its_equations) {
  AdamWRun<double> reference(GetParam());
  AdamWRun<float> plain(GetParam());
  reference.steps([](const auto& a) { adamw_oracle(a); });
  plain.steps([](const auto& a) { adamw_oracle(a); });
  for_each_target([&] {
    AdamWRun<double> exact(GetParam());
    exact.steps([](const auto& a) { adamw(stream(), a); });
    EXPECT_LE(max_error(exact.w, reference.w), 1e-14);
    EXPECT_LE(max_error(exact.m, reference.m), 1e-15);
    EXPECT_LE(max_error(exact.v, reference.v), 1e-15);
    AdamWRun<float> got(GetParam());
    got.steps([](const auto& a) { adamw(stream(), a); });
    expect_earned(got.w, plain.w, reference.w, 4);
    expect_earned(got.m, plain.m, reference.m, 4);
    expect_earned(got.v, plain.v, reference.v, 4);
    for (const int threads : kThreadCounts) {
      AdamWRun<float> more(GetParam());
      more.steps([&](const auto& a) { adamw(stream(threads), a); });
      expect_same_bits(more.w, got.w, "w");
      expect_same_bits(more.m, got.m, "m");
      expect_same_bits(more.v, got.v, "v");
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Cases, AdamW, ::testing::ValuesIn(adamw_cases()),
                         [](const auto& info) { return info.param.name; });

TEST(AdamWLimits, a_zero_gradient_moves_nothing_and_the_first_step_is_lr_long) {
  std::vector<float> w = {1, 2, -3}, grad = {0, 5e-3f, -70}, m(3), v(3);
  adamw(stream(),
        AdamWArgs<float>{3, w.data(), grad.data(), m.data(), v.data(), 0.01, 0.9, 0.999, 1e-8, 0, 1, 1});
  EXPECT_EQ(w[0], 1.0f);
  EXPECT_NEAR(w[1], 1.99f, 1e-6);
  EXPECT_NEAR(w[2], -2.99f, 1e-6);
}

template <class T>
struct SgdRun {
  explicit SgdRun(const SgdCase& c) : spec(c), w(random_vector<T>(c.count, "w")), buf(w.size(), T{77}) {}
  template <class F>
  void steps(F step) {
    for (int64_t t = 1; t <= kSteps; ++t) {
      const auto grad = random_vector<T>(spec.count, fmt::format("grad{}", t), 0.1);
      step(SgdArgs<T>{spec.count, w.data(), grad.data(), spec.momentum != 0 ? buf.data() : nullptr, spec.lr,
                      spec.momentum, spec.weight_decay, spec.grad_scale, t});
    }
  }
  SgdCase spec;
  std::vector<T> w, buf;  // buf's start must not matter
};

class Sgd : public ::testing::TestWithParam<SgdCase> {};

TEST_P(Sgd, follows_its_equations) {
  SgdRun<double> reference(GetParam());
  SgdRun<float> plain(GetParam());
  reference.steps([](const auto& a) { sgd_oracle(a); });
  plain.steps([](const auto& a) { sgd_oracle(a); });
  for_each_target([&] {
    SgdRun<double> exact(GetParam());
    exact.steps([](const auto& a) { sgd(stream(), a); });
    EXPECT_LE(max_error(exact.w, reference.w), 1e-14);
    SgdRun<float> got(GetParam());
    got.steps([](const auto& a) { sgd(stream(), a); });
    expect_earned(got.w, plain.w, reference.w, 2);
    expect_earned(got.buf, plain.buf, reference.buf, 2);
    for (const int threads : kThreadCounts) {
      SgdRun<float> more(GetParam());
      more.steps([&](const auto& a) { sgd(stream(threads), a); });
      expect_same_bits(more.w, got.w, "w");
      expect_same_bits(more.buf, got.buf, "buf");
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Cases, Sgd, ::testing::ValuesIn(sgd_cases()),
                         [](const auto& info) { return info.param.name; });

template <class T>
double sum_squares_of(const std::vector<T>& x, int threads = 1) {
  double out = -1;
  sum_squares(stream(threads), SumSquaresArgs<T>{static_cast<int64_t>(x.size()), x.data(), &out});
  return out;
}

TEST(SumSquares, is_exact_to_double_and_the_same_for_any_threads) {
  for_each_target([] {
    for (const int64_t n : {0, 1, 5, 8, 129, 16384, 16385, 100003}) {
      const auto x = random_vector<float>(n, "x");
      long double expected = 0;
      for (const float v : x) expected += static_cast<long double>(v) * v;
      for (const int threads : kThreadCounts) {
        EXPECT_NEAR(sum_squares_of(x, threads), static_cast<double>(expected),
                    1e-14 * static_cast<double>(n + 1));
        EXPECT_EQ(sum_squares_of(x, threads), sum_squares_of(x));
        EXPECT_NEAR(sum_squares_of(widen(x), threads), static_cast<double>(expected),
                    1e-14 * static_cast<double>(n + 1));
      }
    }
  });
}

TEST(SumSquares, large_and_bad_numbers_show) {
  for_each_target([] {
    std::vector<float> x(100, 3e38f);
    EXPECT_NEAR(sum_squares_of(x) / 9e78, 1, 1e-6);  // beyond float
    x[97] = std::numeric_limits<float>::infinity();
    EXPECT_EQ(sum_squares_of(x), std::numeric_limits<double>::infinity());
    x[98] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE(std::isnan(sum_squares_of(x)));
  });
}

}  // namespace
}  // namespace ft::test
