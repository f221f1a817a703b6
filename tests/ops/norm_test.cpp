#include "engine/ops/norm.h"

#include "tests/ops/norm_cases.h"
#include "tests/ops/norm_oracle.h"
#include "tests/ops/op_test.h"

namespace ft::test {
namespace {

// All buffers of one case, and the op's calls on them.
template <class T>
struct NormRun {
  explicit NormRun(const NormCase& c) : spec(c), bounds(bounds_of(c.lengths)) {
    rows = bounds.back() * c.rows_per_token;
    x = random_vector<T>(rows * c.cols, "x", 1.5, c.shift);
    if (c.residual) residual = random_vector<T>(rows * c.cols, "residual");
    weight = random_vector<T>(c.cols, "weight", 0.3, 1 - c.weight_offset);
    if (c.bias) bias = random_vector<T>(c.cols, "bias");
    dy = random_vector<T>(rows * c.cols, "dy");
    dsum = random_vector<T>(rows * c.cols, "dsum");
    sum.resize(x.size());
    y.resize(x.size());
    mean.resize(static_cast<size_t>(rows));
    rstd.resize(static_cast<size_t>(rows));
  }

  NormArgs<T> args() {
    NormArgs<T> a;
    a.rows = rows;
    a.cols = spec.cols;
    a.x = x.data();
    a.residual = spec.residual ? residual.data() : nullptr;
    a.weight = weight.data();
    a.bias = spec.bias ? bias.data() : nullptr;
    a.eps = static_cast<T>(spec.eps);
    a.weight_offset = static_cast<T>(spec.weight_offset);
    a.center = spec.center;
    a.sum = spec.residual ? sum.data() : nullptr;
    a.y = y.data();
    a.mean = spec.center ? mean.data() : nullptr;
    a.rstd = rstd.data();
    return a;
  }
  NormGradArgs<T> grad_args() {
    NormGradArgs<T> a;
    a.segments = segments_of(bounds);
    a.rows_per_token = spec.rows_per_token;
    a.cols = spec.cols;
    a.dy = dy.data();
    a.h = spec.residual ? sum.data() : x.data();
    a.mean = spec.center ? mean.data() : nullptr;
    a.rstd = rstd.data();
    a.weight = weight.data();
    a.weight_offset = static_cast<T>(spec.weight_offset);
    // The residual stream's own gradient arrives in dh and is added to.
    dh = dsum;
    a.dh = dh.data();
    a.accumulate = true;
    dweight.assign(static_cast<size_t>(spec.cols), T{1});
    dbias.assign(static_cast<size_t>(spec.cols), T{-1});
    a.dweight = dweight.data();
    a.dbias = spec.bias ? dbias.data() : nullptr;
    return a;
  }

  const NormCase& spec;
  std::vector<int32_t> bounds;
  int64_t rows = 0;
  std::vector<T> x, residual, weight, bias, dy, dsum, sum, y, mean, rstd, dh, dweight, dbias;
};

class Norm : public ::testing::TestWithParam<NormCase> {};

TEST_P(Norm, forward_is_as_exact_as_the_plain_composition) {
  NormRun<double> reference(GetParam());
  norm_oracle(reference.args());
  NormRun<float> plain(GetParam());
  norm_oracle(plain.args());
  for_each_target([&] {
    NormRun<float> got(GetParam());
    norm(stream(), got.args());
    expect_earned(got.y, plain.y, reference.y);
    expect_earned(got.rstd, plain.rstd, reference.rstd, 4);
    expect_earned(got.mean, plain.mean, reference.mean, 4);
    expect_same_bits(got.sum, plain.sum, "sum");
  });
}

TEST_P(Norm, backward_is_as_exact_as_the_plain_composition) {
  NormRun<double> reference(GetParam());
  norm_oracle(reference.args());
  norm_grad_oracle(reference.grad_args());
  NormRun<float> plain(GetParam());
  norm_oracle(plain.args());
  norm_grad_oracle(plain.grad_args());
  for_each_target([&] {
    NormRun<float> got(GetParam());
    norm(stream(), got.args());
    norm_grad(stream(), got.grad_args());
    expect_earned(got.dh, plain.dh, reference.dh, 2);
    expect_earned(got.dweight, plain.dweight, reference.dweight, 4);
    expect_earned(got.dbias, plain.dbias, reference.dbias, 4);
  });
}

TEST_P(Norm, gradient_matches_central_differences) {
  NormRun<double> run(GetParam());
  norm(stream(), run.args());
  norm_grad(stream(), run.grad_args());
  for (double& v : run.dweight) v -= 1;
  for (double& v : run.dbias) v += 1;
  // y·dy, and h·dsum for what flows along the residual stream.
  const auto loss = [&] {
    norm(stream(), run.args());
    return dot(run.y, run.dy) + dot(run.spec.residual ? run.sum : run.x, run.dsum);
  };
  // The central difference's own error grows with the curvature, and that with 1/(variance + eps).
  const double tolerance = GetParam().cols == 1 ? 1e-6 : 2e-8;
  const auto dh = run.dh, dweight = run.dweight, dbias = run.dbias;
  expect_gradient(run.x, loss, dh, tolerance);
  if (run.spec.residual) expect_gradient(run.residual, loss, dh, tolerance);
  expect_gradient(run.weight, loss, dweight, tolerance);
  if (run.spec.bias) expect_gradient(run.bias, loss, dbias, tolerance);
}

TEST_P(Norm, bits_do_not_depend_on_threads_or_grouping) {
  for_each_target([&] {
    NormRun<float> one(GetParam());
    norm(stream(), one.args());
    norm_grad(stream(), one.grad_args());
    for (const int threads : kThreadCounts) {
      NormRun<float> more(GetParam());
      norm(stream(threads), more.args());
      norm_grad(stream(threads), more.grad_args());
      expect_same_bits(one.y, more.y, "y");
      expect_same_bits(one.rstd, more.rstd, "rstd");
      expect_same_bits(one.dh, more.dh, "dh");
      expect_same_bits(one.dweight, more.dweight, "dweight");
      expect_same_bits(one.dbias, more.dbias, "dbias");
    }

    // Sample by sample: other calls, other buffers' ends, the same bits.
    NormRun<float> split(GetParam());
    const NormArgs<float> all = split.args();
    NormGradArgs<float> grad = split.grad_args();
    for (size_t s = 0; s + 1 < split.bounds.size(); ++s) {
      const int64_t first = split.bounds[s] * split.spec.rows_per_token;
      const int32_t bounds[] = {0, split.bounds[s + 1] - split.bounds[s]};
      NormArgs<float> a = all;
      a.rows = bounds[1] * split.spec.rows_per_token;
      a.x += first * a.cols;
      a.y += first * a.cols;
      a.rstd += first;
      if (a.residual) a.residual += first * a.cols, a.sum += first * a.cols;
      if (a.mean) a.mean += first;
      norm(stream(), a);
      NormGradArgs<float> g = grad;
      g.segments = {bounds, 1};
      g.dy += first * a.cols;
      g.h += first * a.cols;
      g.dh += first * a.cols;
      g.rstd += first;
      if (g.mean) g.mean += first;
      norm_grad(stream(), g);
    }
    expect_same_bits(one.y, split.y, "y by samples");
    expect_same_bits(one.dh, split.dh, "dh by samples");
    expect_same_bits(one.dweight, split.dweight, "dweight by samples");
    expect_same_bits(one.dbias, split.dbias, "dbias by samples");
  });
}

INSTANTIATE_TEST_SUITE_P(Cases, Norm, ::testing::ValuesIn(norm_cases()),
                         [](const auto& info) { return info.param.name; });

TEST(NormAlias, sum_may_be_the_residual_and_dh_the_buffer_of_dy) {
  NormRun<float> apart(norm_cases()[2]), aliased(norm_cases()[2]);
  norm(stream(), apart.args());
  NormArgs<float> a = aliased.args();
  a.sum = aliased.residual.data();
  norm(stream(), a);
  expect_same_bits(apart.y, aliased.y, "y");
  expect_same_bits(apart.sum, aliased.residual, "sum");

  NormGradArgs<float> g = apart.grad_args();
  g.accumulate = false;
  norm_grad(stream(), g);
  aliased.sum = apart.sum;
  NormGradArgs<float> h = aliased.grad_args();
  h.accumulate = false;
  h.dh = aliased.dy.data();
  norm_grad(stream(), h);
  expect_same_bits(apart.dh, aliased.dy, "dh");
  expect_same_bits(apart.dweight, aliased.dweight, "dweight");
}

TEST(NormLimits, a_row_of_zeros_is_finite_and_nan_stays_in_its_row) {
  const NormCase c{"", {3}, 1, 21, true, true, false, 0, 1e-5};
  for_each_target([&] {
    NormRun<float> run(c);
    std::fill_n(run.x.begin(), 21, 0.0f);
    run.x[25] = std::numeric_limits<float>::quiet_NaN();
    norm(stream(), run.args());
    for (int i = 0; i < 21; ++i) {
      EXPECT_EQ(run.y[i], run.bias[i]);
      EXPECT_TRUE(std::isnan(run.y[21 + i]));
      EXPECT_TRUE(std::isfinite(run.y[42 + i]));
    }
  });
}

}  // namespace
}  // namespace ft::test
