#include "engine/ops/column_scale.h"

#include "tests/ops/column_scale_cases.h"
#include "tests/ops/column_scale_oracle.h"
#include "tests/ops/op_test.h"

namespace ft::test {
namespace {

// All buffers of one case, and the op's calls on them.
template <class T>
struct ColumnScaleRun {
  explicit ColumnScaleRun(const ColumnScaleCase& c) : spec(c), bounds(bounds_of(c.lengths)) {
    const int64_t count = bounds.back() * c.cols;
    x = random_vector<T>(count, "x");
    scale = random_vector<T>(c.cols, "scale", 0.5, 1);
    dy = random_vector<T>(count, "dy");
    dx = random_vector<T>(count, "dx");
    dscale = random_vector<T>(c.cols, "dscale");
    pivot = random_vector<T>(c.cols, "pivot");
    y.resize(x.size());
  }

  ColumnScaleArgs<T> args() { return {bounds.back(), spec.cols, x.data(), scale.data(), y.data(), at()}; }
  ColumnScaleGradArgs<T> grad_args() {
    return {segments_of(bounds), spec.cols,       dy.data(),     x.data(), scale.data(),
            dx.data(),           spec.accumulate, dscale.data(), at()};
  }

  const T* at() const { return spec.pivot ? pivot.data() : nullptr; }

  const ColumnScaleCase& spec;
  std::vector<int32_t> bounds;
  std::vector<T> x, scale, pivot, y, dy, dx, dscale;
};

class ColumnScale : public ::testing::TestWithParam<ColumnScaleCase> {};

TEST_P(ColumnScale, is_as_exact_as_the_plain_loop) {
  ColumnScaleRun<double> reference(GetParam());
  column_scale_oracle(reference.args());
  column_scale_grad_oracle(reference.grad_args());
  ColumnScaleRun<float> plain(GetParam());
  column_scale_oracle(plain.args());
  column_scale_grad_oracle(plain.grad_args());
  for_each_target([&] {
    ColumnScaleRun<float> got(GetParam());
    column_scale(stream(), got.args());
    column_scale_grad(stream(), got.grad_args());
    expect_same_bits(got.y, plain.y, "y");
    expect_earned(got.dx, plain.dx, reference.dx);
    expect_earned(got.dscale, plain.dscale, reference.dscale, 2);
  });
}

TEST_P(ColumnScale, gradient_matches_central_differences) {
  ColumnScaleRun<double> run(GetParam());
  std::fill(run.dx.begin(), run.dx.end(), 0.0);
  std::fill(run.dscale.begin(), run.dscale.end(), 0.0);
  column_scale_grad(stream(), run.grad_args());
  const auto loss = [&] {
    column_scale(stream(), run.args());
    return dot(run.y, run.dy);
  };
  const auto dx = run.dx, dscale = run.dscale;
  expect_gradient(run.x, loss, dx);
  expect_gradient(run.scale, loss, dscale);
}

TEST_P(ColumnScale, bits_do_not_depend_on_threads_or_grouping) {
  for_each_target([&] {
    ColumnScaleRun<float> one(GetParam());
    column_scale(stream(), one.args());
    column_scale_grad(stream(), one.grad_args());
    for (const int threads : kThreadCounts) {
      ColumnScaleRun<float> more(GetParam());
      column_scale(stream(threads), more.args());
      column_scale_grad(stream(threads), more.grad_args());
      expect_same_bits(one.y, more.y, "y");
      expect_same_bits(one.dx, more.dx, "dx");
      expect_same_bits(one.dscale, more.dscale, "dscale");
    }
    ColumnScaleRun<float> split(GetParam());
    for (size_t s = 0; s + 1 < split.bounds.size(); ++s) {
      const int64_t first = split.bounds[s] * split.spec.cols;
      const int32_t bounds[] = {0, split.bounds[s + 1] - split.bounds[s]};
      ColumnScaleGradArgs<float> g = split.grad_args();
      g.segments = {bounds, 1};
      g.dy += first;
      g.x += first;
      g.dx += first;
      column_scale_grad(stream(), g);
    }
    expect_same_bits(one.dx, split.dx, "dx by samples");
    expect_same_bits(one.dscale, split.dscale, "dscale by samples");
  });
}

INSTANTIATE_TEST_SUITE_P(Cases, ColumnScale, ::testing::ValuesIn(column_scale_cases()),
                         [](const auto& info) { return info.param.name; });

TEST(ColumnScaleAlias, outputs_may_be_inputs_and_either_gradient_may_be_left_out) {
  const ColumnScaleCase& c = column_scale_cases()[2];
  ColumnScaleRun<float> apart(c), over(c), only_x(c), only_scale(c);
  column_scale(stream(), apart.args());
  column_scale_grad(stream(), apart.grad_args());

  ColumnScaleGradArgs<float> g = over.grad_args();
  g.dx = over.dy.data();
  column_scale_grad(stream(), g);
  expect_same_bits(over.dy, apart.dx, "dx over dy");
  expect_same_bits(over.dscale, apart.dscale, "dscale, dx over dy");
  ColumnScaleArgs<float> a = over.args();
  a.y = over.x.data();
  column_scale(stream(), a);
  expect_same_bits(over.x, apart.y, "y over x");

  const auto untouched_x = only_scale.dx, untouched_scale = only_x.dscale;
  g = only_x.grad_args();
  g.dscale = nullptr;
  g.x = nullptr;
  column_scale_grad(stream(), g);
  expect_same_bits(only_x.dx, apart.dx, "dx alone");
  expect_same_bits(only_x.dscale, untouched_scale, "dscale untouched");
  g = only_scale.grad_args();
  g.dx = nullptr;
  column_scale_grad(stream(), g);
  expect_same_bits(only_scale.dscale, apart.dscale, "dscale alone");
  expect_same_bits(only_scale.dx, untouched_x, "dx untouched");
}

}  // namespace
}  // namespace ft::test
