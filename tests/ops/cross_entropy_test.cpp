#include "engine/ops/cross_entropy.h"

#include "tests/ops/cross_entropy_cases.h"
#include "tests/ops/cross_entropy_oracle.h"
#include "tests/ops/op_test.h"

namespace ft::test {
namespace {

template <class T>
struct LossRun {
  explicit LossRun(const CrossEntropyCase& c)
      : spec(c),
        logits(random_vector<T>(c.rows * c.ld, "logits", c.scale, c.shift)),
        loss(static_cast<size_t>(c.rows)),
        argmax(static_cast<size_t>(c.rows), -1) {
    Rng rng(7, "targets");
    for (int64_t r = 0; r < c.rows; ++r) {
      targets.push_back(static_cast<int32_t>(rng.below(static_cast<uint32_t>(c.classes))));
    }
  }
  CrossEntropyArgs<T> args(bool gradient = true) {
    CrossEntropyArgs<T> a;
    a.rows = spec.rows;
    a.classes = spec.classes;
    a.logits = logits.data();
    a.ld = spec.ld;
    a.targets = targets.data();
    a.scale = static_cast<T>(spec.gradient);
    a.gradient = gradient;
    a.loss = loss.data();
    a.argmax = argmax.data();
    return a;
  }
  double total() const {
    double s = 0;
    for (const double l : loss) s += l;
    return s;
  }

  CrossEntropyCase spec;
  std::vector<T> logits;
  std::vector<double> loss;
  std::vector<int32_t> targets, argmax;
};

class CrossEntropy : public ::testing::TestWithParam<CrossEntropyCase> {};

TEST_P(CrossEntropy, is_as_exact_as_the_plain_composition) {
  LossRun<double> reference(GetParam());
  LossRun<float> plain(GetParam());
  cross_entropy_oracle(reference.args());
  cross_entropy_oracle(plain.args());
  for_each_target([&] {
    LossRun<float> got(GetParam());
    cross_entropy(stream(), got.args());
    // Sum, exponential and (gradient) two factors are rounded once each; plain may be exact by luck.
    expect_earned(got.logits, plain.logits, reference.logits, 4);
    EXPECT_LE(max_error(got.loss, reference.loss),
              2 * max_error(plain.loss, reference.loss) + 1e-7 * max_abs(reference.loss));
    EXPECT_EQ(got.argmax, reference.argmax);

    // Without the gradient: the same loss, the logits untouched (and the columns beyond them always).
    LossRun<float> evaluated(GetParam());
    const auto before = evaluated.logits;
    cross_entropy(stream(), evaluated.args(false));
    expect_same_bits(evaluated.loss, got.loss, "loss");
    expect_same_bits(evaluated.logits, before, "logits");
    EXPECT_EQ(got.argmax, evaluated.argmax);
  });
}

TEST_P(CrossEntropy, gradient_matches_central_differences) {
  for_each_target([&] {
    LossRun<double> run(GetParam()), gradient(GetParam());
    cross_entropy(stream(), gradient.args());
    const double scale = run.spec.gradient;
    const auto loss = [&] {
      cross_entropy(stream(), run.args(false));
      return scale * run.total();
    };
    // Elements beyond `classes` are not the op's; their gradient is zero.
    auto analytic = gradient.logits;
    for (int64_t r = 0; r < run.spec.rows; ++r) {
      for (int64_t c = run.spec.classes; c < run.spec.ld; ++c)
        analytic[static_cast<size_t>(r * run.spec.ld + c)] = 0;
    }
    // The difference of two losses of size |loss| loses |loss|·1e-16/eps.
    const double tolerance = 2e-9 + 1e-10 * (1 + std::fabs(run.spec.shift));
    expect_gradient(run.logits, loss, analytic, tolerance, 1e-4, 24);
  });
}

TEST_P(CrossEntropy, bits_do_not_depend_on_threads_or_other_rows) {
  for_each_target([&] {
    LossRun<float> one(GetParam());
    cross_entropy(stream(), one.args());
    for (const int threads : kThreadCounts) {
      LossRun<float> more(GetParam());
      cross_entropy(stream(threads), more.args());
      expect_same_bits(one.logits, more.logits, "gradient");
      expect_same_bits(one.loss, more.loss, "loss");
    }
    LossRun<float> alone(GetParam());
    for (int64_t r = 0; r < alone.spec.rows; ++r) {
      CrossEntropyArgs<float> a = alone.args();
      a.rows = 1;
      a.logits += r * a.ld;
      a.targets += r;
      a.loss += r;
      a.argmax += r;
      cross_entropy(stream(), a);
    }
    expect_same_bits(one.logits, alone.logits, "gradient by rows");
    expect_same_bits(one.loss, alone.loss, "loss by rows");
  });
}

INSTANTIATE_TEST_SUITE_P(Cases, CrossEntropy, ::testing::ValuesIn(cross_entropy_cases()),
                         [](const auto& info) { return info.param.name; });

struct Row {
  double loss = 0;
  int32_t argmax = -1;
  std::vector<float> gradient;
};
Row one_row(std::vector<float> z, int32_t target) {
  Row r;
  CrossEntropyArgs<float> a;
  a.rows = 1;
  a.classes = a.ld = static_cast<int64_t>(z.size());
  a.logits = z.data();
  a.targets = &target;
  a.gradient = true;
  a.loss = &r.loss;
  a.argmax = &r.argmax;
  cross_entropy(stream(), a);
  r.gradient = z;
  return r;
}

TEST(CrossEntropyLimits, extreme_logits) {
  const float inf = std::numeric_limits<float>::infinity(), huge = std::numeric_limits<float>::max();
  for_each_target([&] {
    const Row uniform = one_row(std::vector<float>(9, huge), 4);
    EXPECT_NEAR(uniform.loss, std::log(9.0), 1e-6);
    EXPECT_NEAR(uniform.gradient[0], 1.0 / 9, 1e-7);
    EXPECT_NEAR(uniform.gradient[4], 1.0 / 9 - 1, 1e-7);

    // Masked classes get no probability; one block of nothing but −inf comes first.
    std::vector<float> masked(9000, -inf);
    masked[5000] = 1;
    masked[8999] = 1;
    const Row two = one_row(masked, 5000);
    EXPECT_NEAR(two.loss, std::log(2.0), 1e-6);
    EXPECT_EQ(two.argmax, 5000);
    EXPECT_EQ(two.gradient[0], 0.0f);
    EXPECT_NEAR(two.gradient[5000], -0.5, 1e-7);
    EXPECT_NEAR(two.gradient[8999], 0.5, 1e-7);

    const Row impossible = one_row(masked, 3);
    EXPECT_EQ(impossible.loss, std::numeric_limits<double>::infinity());

    std::vector<float> apart(5000, -huge);
    apart[4999] = huge;
    EXPECT_EQ(one_row(apart, 4999).loss, 0.0);
    EXPECT_EQ(one_row(apart, 4999).gradient[4999], 0.0f);
  });
}

TEST(CrossEntropyLimits, bad_numbers_reach_the_loss) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for_each_target([&] {
    for (const size_t at : {0, 5, 4100, 8191}) {
      for (const float bad : {nan, inf}) {
        std::vector<float> z(8192, 0.25f);
        z[at] = bad;
        const Row row = one_row(z, 7);
        EXPECT_TRUE(std::isnan(row.loss)) << at;
        EXPECT_TRUE(std::isnan(row.gradient[at])) << at;
        EXPECT_TRUE(0 <= row.argmax && row.argmax < 8192);
      }
    }
    EXPECT_TRUE(std::isnan(one_row(std::vector<float>(70, nan), 7).loss));
    EXPECT_TRUE(std::isnan(one_row(std::vector<float>(70, -inf), 7).loss));
  });
}

TEST(CrossEntropyLimits, argmax_is_the_lowest_index_of_a_tie) {
  for_each_target([&] {
    for (const std::vector<int32_t>& ties :
         {std::vector<int32_t>{3, 9}, {0, 9999}, {4095, 4096}, {17, 18, 19, 20}, {9998, 9999}}) {
      std::vector<float> z(10000, -2.0f);
      for (const int32_t t : ties) z[static_cast<size_t>(t)] = 1.5f;
      EXPECT_EQ(one_row(z, 0).argmax, ties[0]);
    }
  });
}

}  // namespace
}  // namespace ft::test
