#include "engine/ops/activation.h"

#include "engine/core/check.h"
#include "tests/ops/activation_cases.h"
#include "tests/ops/activation_oracle.h"
#include "tests/ops/op_test.h"

namespace ft::test {
namespace {

template <class T>
struct ActivationRun {
  explicit ActivationRun(const ActivationCase& c)
      : spec(c),
        x(random_vector<T>(c.count, "x", c.scale)),
        up(random_vector<T>(c.count, "up")),
        dy(random_vector<T>(c.count, "dy")),
        y(x.size()),
        dx(x.size()),
        gated(x.size()),
        dgate(x.size()),
        dup(x.size()) {}

  void kernel(int threads = 1) {
    activation(stream(threads), ActivationArgs<T>{spec.count, spec.kind, x.data(), y.data()});
    activation_grad(stream(threads),
                    ActivationGradArgs<T>{spec.count, spec.kind, x.data(), dy.data(), dx.data()});
    gated_activation(stream(threads),
                     GatedActivationArgs<T>{spec.count, spec.kind, x.data(), up.data(), gated.data()});
    gated_activation_grad(stream(threads),
                          GatedActivationGradArgs<T>{spec.count, spec.kind, x.data(), up.data(), dy.data(),
                                                     dgate.data(), dup.data()});
  }
  void oracle() {
    for (size_t i = 0; i < x.size(); ++i) {
      const T value = activation_oracle(spec.kind, x[i]), slope = activation_slope_oracle(spec.kind, x[i]);
      y[i] = value;
      dx[i] = dy[i] * slope;
      gated[i] = value * up[i];
      dgate[i] = dy[i] * up[i] * slope;
      dup[i] = dy[i] * value;
    }
  }

  ActivationCase spec;
  std::vector<T> x, up, dy, y, dx, gated, dgate, dup;
};

// Exponential, sum, quotient and product: at most this many half units; plain may be exact by luck.
constexpr double kSlack = 6;

class ActivationTest : public ::testing::TestWithParam<ActivationCase> {};

TEST_P(ActivationTest, is_as_exact_as_the_plain_composition) {
  ActivationRun<double> reference(GetParam());
  ActivationRun<float> plain(GetParam());
  reference.oracle();
  plain.oracle();
  for_each_target([&] {
    ActivationRun<float> got(GetParam());
    got.kernel();
    expect_earned(got.y, plain.y, reference.y, kSlack);
    expect_earned(got.dx, plain.dx, reference.dx, kSlack);
    expect_earned(got.gated, plain.gated, reference.gated, kSlack);
    expect_earned(got.dgate, plain.dgate, reference.dgate, kSlack);
    expect_earned(got.dup, plain.dup, reference.dup, kSlack);
  });
}

TEST_P(ActivationTest, double_agrees_with_the_c_library) {
  for_each_target([&] {
    ActivationRun<double> got(GetParam()), reference(GetParam());
    got.kernel();
    reference.oracle();
    EXPECT_LE(max_error(got.y, reference.y), 1e-15 * std::max(1.0, max_abs(reference.y)));
    EXPECT_LE(max_error(got.dx, reference.dx), 2e-15 * std::max(1.0, max_abs(reference.dx)));
    EXPECT_LE(max_error(got.dgate, reference.dgate), 4e-15 * std::max(1.0, max_abs(reference.dgate)));
  });
}

TEST_P(ActivationTest, gradient_matches_central_differences) {
  ActivationRun<double> run(GetParam());
  for (double& v : run.x) {
    if (std::fabs(v) < 1e-3) v = 0.5;  // away from relu's kink
  }
  run.kernel();
  const auto dx = run.dx, dgate = run.dgate, dup = run.dup;
  expect_gradient(
      run.x,
      [&] {
        run.kernel();
        return dot(run.y, run.dy);
      },
      dx, 2e-9 * std::sqrt(run.x.size()));
  expect_gradient(
      run.x,
      [&] {
        run.kernel();
        return dot(run.gated, run.dy);
      },
      dgate, 2e-9 * std::sqrt(run.x.size()));
  expect_gradient(
      run.up,
      [&] {
        run.kernel();
        return dot(run.gated, run.dy);
      },
      dup, 2e-9 * std::sqrt(run.x.size()));
}

TEST_P(ActivationTest, bits_do_not_depend_on_threads_or_place) {
  for_each_target([&] {
    ActivationRun<float> one(GetParam());
    one.kernel();
    for (const int threads : kThreadCounts) {
      ActivationRun<float> more(GetParam());
      more.kernel(threads);
      expect_same_bits(one.y, more.y, "y");
      expect_same_bits(one.dx, more.dx, "dx");
      expect_same_bits(one.gated, more.gated, "gated");
      expect_same_bits(one.dgate, more.dgate, "dgate");
      expect_same_bits(one.dup, more.dup, "dup");
    }
    // Element by element is all tails.
    for (int64_t i = 0; i < std::min<int64_t>(one.spec.count, 64); ++i) {
      float y = 0;
      activation(stream(), ActivationArgs<float>{1, one.spec.kind, one.x.data() + i, &y});
      EXPECT_EQ(y, one.y[static_cast<size_t>(i)]);
    }
  });
}

TEST_P(ActivationTest, outputs_may_alias_inputs) {
  ActivationRun<float> apart(GetParam()), in_place(GetParam());
  apart.kernel();
  auto& r = in_place;
  gated_activation_grad(stream(),
                        GatedActivationGradArgs<float>{r.spec.count, r.spec.kind, r.x.data(), r.up.data(),
                                                       r.dy.data(), r.dgate.data(), r.dy.data()});
  expect_same_bits(apart.dup, r.dy, "dup in dy");
  expect_same_bits(apart.dgate, r.dgate, "dgate");
  r.dy = apart.dy;
  activation_grad(stream(),
                  ActivationGradArgs<float>{r.spec.count, r.spec.kind, r.x.data(), r.dy.data(), r.dy.data()});
  expect_same_bits(apart.dx, r.dy, "dx in dy");
  gated_activation(
      stream(), GatedActivationArgs<float>{r.spec.count, r.spec.kind, r.x.data(), r.up.data(), r.up.data()});
  expect_same_bits(apart.gated, r.up, "gated in up");
  activation(stream(), ActivationArgs<float>{r.spec.count, r.spec.kind, r.x.data(), r.x.data()});
  expect_same_bits(apart.y, r.x, "y in x");
}

INSTANTIATE_TEST_SUITE_P(Cases, ActivationTest, ::testing::ValuesIn(activation_cases()),
                         [](const auto& info) { return info.param.name; });

TEST(ActivationLimits, far_inputs_saturate_and_nan_passes) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Activation kind :
       {Activation::gelu, Activation::gelu_tanh, Activation::silu, Activation::relu}) {
    for_each_target([&] {
      const std::vector<float> x = {1e4f, -1e4f, 100.0f, -100.0f, 0.0f, 1e-30f, nan, 3e10f, -3e10f};
      const std::vector<float> one(x.size(), 1.0f);
      std::vector<float> y(x.size()), dx(x.size());
      const auto count = static_cast<int64_t>(x.size());
      activation(stream(), ActivationArgs<float>{count, kind, x.data(), y.data()});
      activation_grad(stream(), ActivationGradArgs<float>{count, kind, x.data(), one.data(), dx.data()});
      for (const size_t i : {0, 2, 7}) {
        EXPECT_EQ(y[i], x[i]);
        EXPECT_EQ(dx[i], 1.0f);
      }
      for (const size_t i : {1, 3, 8}) {
        EXPECT_EQ(y[i], 0.0f);
        EXPECT_EQ(dx[i], 0.0f);
      }
      EXPECT_EQ(y[4], 0.0f);
      EXPECT_TRUE(std::isnan(y[6]));
    });
  }
  for_each_target([&] {
    const std::vector<float> x = {1e4f, -1e4f, 0.0f, nan};
    std::vector<float> y(4);
    activation(stream(), ActivationArgs<float>{4, Activation::tanh, x.data(), y.data()});
    EXPECT_EQ(y[0], 1.0f);
    EXPECT_EQ(y[1], -1.0f);
    EXPECT_EQ(y[2], 0.0f);
    EXPECT_TRUE(std::isnan(y[3]));
  });
}

}  // namespace
}  // namespace ft::test
