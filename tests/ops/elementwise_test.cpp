#include "engine/ops/elementwise.h"

#include "tests/ops/elementwise_cases.h"
#include "tests/ops/elementwise_oracle.h"
#include "tests/ops/op_test.h"

namespace ft::test {
namespace {

template <class T>
void check_add_and_scale() {
  for (const int64_t n : kCounts) {
    const auto a = random_vector<T>(n, "a"), b = random_vector<T>(n, "b");
    std::vector<T> sum(a.size()), scaled(a.size());
    for (size_t i = 0; i < a.size(); ++i) {
      sum[i] = a[i] + b[i];
      scaled[i] = T(0.3) * a[i];
    }
    for (const int threads : kThreadCounts) {
      std::vector<T> y(a.size()), in_place = a;
      add(stream(threads), AddArgs<T>{n, a.data(), b.data(), y.data()});
      expect_same_bits(y, sum, "add");
      add(stream(threads), AddArgs<T>{n, in_place.data(), b.data(), in_place.data()});
      expect_same_bits(in_place, sum, "add in place");
      scale(stream(threads), ScaleArgs<T>{n, T(0.3), a.data(), y.data()});
      expect_same_bits(y, scaled, "scale");
      in_place = a;
      scale(stream(threads), ScaleArgs<T>{n, T(0.3), in_place.data(), in_place.data()});
      expect_same_bits(in_place, scaled, "scale in place");
    }
  }
}

TEST(Elementwise, add_and_scale_are_the_plain_loops_bit_for_bit) {
  for_each_target([] {
    check_add_and_scale<float>();
    check_add_and_scale<double>();
  });
}

class ColumnSum : public ::testing::TestWithParam<ColumnSumCase> {
 protected:
  template <class T>
  ColumnSumArgs<T> args(const std::vector<int32_t>& bounds, const std::vector<T>& x, std::vector<T>& out) {
    ColumnSumArgs<T> a;
    a.segments = segments_of(bounds);
    a.cols = GetParam().cols;
    a.ld = GetParam().ld;
    a.x = x.data();
    a.out = out.data();
    return a;
  }
};

TEST_P(ColumnSum, is_the_plain_loop_bit_for_bit_whatever_the_grouping) {
  const auto bounds = bounds_of(GetParam().lengths);
  const auto x = random_vector<float>(bounds.back() * GetParam().ld, "x");
  const auto start = random_vector<float>(GetParam().cols, "start");
  auto expected = start;
  column_sum_oracle(args(bounds, x, expected));
  for_each_target([&] {
    for (const int threads : kThreadCounts) {
      auto out = start;
      column_sum(stream(threads), args(bounds, x, out));
      expect_same_bits(out, expected, "columns");
    }
    auto split = start;
    for (size_t s = 0; s + 1 < bounds.size(); ++s) {
      const std::vector<int32_t> own = {0, bounds[s + 1] - bounds[s]};
      auto a = args(own, x, split);
      a.x += bounds[s] * a.ld;
      column_sum(stream(), a);
    }
    expect_same_bits(split, expected, "by samples");
  });
}

INSTANTIATE_TEST_SUITE_P(Cases, ColumnSum, ::testing::ValuesIn(column_sum_cases()),
                         [](const auto& info) { return info.param.name; });

template <class T>
struct DropoutRun {
  explicit DropoutRun(const DropoutCase& c)
      : spec(c), x(random_vector<T>(c.tokens * c.cols, "x")), y(random_vector<T>(c.tokens * c.cols, "y")) {
    for (int32_t t = 0; t < c.tokens; ++t) {
      row.push_back(t / 5 + 100);
      position.push_back(t % 5);
    }
  }
  DropoutArgs<T> args(bool accumulate) {
    DropoutArgs<T> a;
    a.tokens = spec.tokens;
    a.cols = spec.cols;
    a.x = x.data();
    a.y = y.data();
    a.accumulate = accumulate;
    a.p = spec.p;
    a.key = spec.key;
    a.site = 3;
    a.row = row.data();
    a.position = position.data();
    return a;
  }
  DropoutCase spec;
  std::vector<T> x, y;
  std::vector<int32_t> row, position;
};

class Dropout : public ::testing::TestWithParam<DropoutCase> {
 protected:
  template <class T>
  void check() {
    for (const bool accumulate : {false, true}) {
      DropoutRun<T> expected(GetParam());
      dropout_oracle(expected.args(accumulate));
      for (const int threads : kThreadCounts) {
        DropoutRun<T> got(GetParam());
        dropout(stream(threads), got.args(accumulate));
        expect_same_bits(got.y, expected.y, "dropout");
      }
    }
    DropoutRun<T> apart(GetParam()), in_place(GetParam());
    dropout(stream(), apart.args(false));
    auto a = in_place.args(false);
    a.y = in_place.x.data();
    dropout(stream(), a);
    expect_same_bits(in_place.x, apart.y, "in place");
  }
};

TEST_P(Dropout, keeps_exactly_the_elements_that_the_generator_names) {
  for_each_target([&] {
    check<float>();
    check<double>();
  });
}

INSTANTIATE_TEST_SUITE_P(Cases, Dropout, ::testing::ValuesIn(dropout_cases()),
                         [](const auto& info) { return info.param.name; });

TEST(DropoutStatistics, the_share_kept_is_one_minus_p_and_sites_differ) {
  const DropoutCase c{"", 400, 512, 0.25f, 99};
  DropoutRun<float> run(c), other(c);
  dropout(stream(), run.args(false));
  auto a = other.args(false);
  a.site = 4;
  dropout(stream(), a);
  int64_t kept = 0, differ = 0;
  for (size_t i = 0; i < run.y.size(); ++i) {
    kept += run.y[i] != 0;
    differ += (run.y[i] != 0) != (other.y[i] != 0);
  }
  const double n = 400.0 * 512, five_sigma = 5 * std::sqrt(n * 0.25 * 0.75);
  EXPECT_NEAR(static_cast<double>(kept), 0.75 * n, five_sigma);
  EXPECT_NEAR(static_cast<double>(differ), 2 * 0.25 * 0.75 * n, five_sigma);
}

}  // namespace
}  // namespace ft::test
