#include "tests/ops/row_scale_cases.h"

#include "tests/ops/op_test.h"

namespace ft::test {
namespace {

/// All buffers of one case, and the ops' calls on them.
template <class T>
struct RowScaleRun {
  explicit RowScaleRun(const RowScaleCase& c) : spec(c) {
    const int64_t count = c.rows * c.cols;
    x = random_vector<T>(count, "x");
    y = random_vector<T>(count, "y");
    dy = random_vector<T>(count, "dy");
    scale = random_vector<T>(c.rows, "scale");
    out = random_vector<T>(c.rows, "out");
  }
  RowScaleArgs<T> scale_args() {
    return {spec.rows, spec.cols, x.data(), scale.data(), y.data(), spec.accumulate};
  }
  RowDotArgs<T> dot_args() {
    return {spec.rows, spec.cols, dy.data(), x.data(), T(0.5), out.data(), spec.accumulate};
  }
  const RowScaleCase& spec;
  std::vector<T> x, y, dy, scale, out;
};

class RowScale : public ::testing::TestWithParam<RowScaleCase> {};

TEST_P(RowScale, is_as_exact_as_the_plain_loop_on_any_number_of_threads) {
  RowScaleRun<double> reference(GetParam());
  row_scale_oracle(reference.scale_args());
  row_dot_oracle(reference.dot_args());
  RowScaleRun<float> plain(GetParam());
  row_scale_oracle(plain.scale_args());
  row_dot_oracle(plain.dot_args());
  std::vector<float> first;
  for (const int threads : kThreadCounts) {
    RowScaleRun<float> got(GetParam());
    row_scale(stream(threads), got.scale_args());
    row_dot(stream(threads), got.dot_args());
    expect_same_bits(got.y, plain.y, "y");
    expect_earned(got.out, plain.out, reference.out);
    if (first.empty()) first = got.out;
    expect_same_bits(got.out, first, "out");
  }
}

// y = s ⊙ x: each op is the other's gradient.
TEST_P(RowScale, gradient_matches_central_differences) {
  RowScaleRun<double> run(GetParam());
  auto forward = run.scale_args();
  forward.accumulate = false;
  const auto loss = [&] {
    row_scale(stream(), forward);
    return dot(run.y, run.dy);
  };
  std::vector<double> dx(run.x.size()), dscale(run.scale.size());
  row_scale(stream(), RowScaleArgs<double>{run.spec.rows, run.spec.cols, run.dy.data(), run.scale.data(),
                                           dx.data(), false});
  row_dot(stream(), RowDotArgs<double>{run.spec.rows, run.spec.cols, run.dy.data(), run.x.data(), 1,
                                       dscale.data(), false});
  expect_gradient(run.x, loss, dx);
  expect_gradient(run.scale, loss, dscale);
}

INSTANTIATE_TEST_SUITE_P(Cases, RowScale, ::testing::ValuesIn(row_scale_cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace ft::test
