// CUDA: softmax cross entropy and its gradient in place, against the CPU in float64.
#include "engine/ops/cross_entropy.h"

#include "tests/cuda/bf16.h"
#include "tests/cuda/device_vector.h"
#include "tests/ops/cross_entropy_cases.h"
#include "tests/ops/cross_entropy_oracle.h"

namespace ft::test {
namespace {

template <class T>
struct Results {
  std::vector<T> logits;
  std::vector<double> loss;
  std::vector<int32_t> argmax;
};

template <class T, class Z>
CrossEntropyArgs<T> args_of(const CrossEntropyCase& c, Z* logits, IndexView targets, bool gradient,
                            double* loss, int32_t* argmax) {
  CrossEntropyArgs<T> a;
  a.rows = c.rows;
  a.classes = c.classes;
  a.logits = logits;
  a.ld = c.ld;
  a.targets = targets;
  a.scale = static_cast<Wide<T>>(c.gradient);
  a.gradient = gradient;
  a.loss = loss;
  a.argmax = argmax;
  return a;
}

template <class T>
Results<T> on_cuda(const CrossEntropyCase& c, const std::vector<float>& logits, const DeviceIndex& targets,
                   bool gradient = true, int64_t skip = 0) {
  DeviceVector<T> z(as_type<T>(logits), skip);
  DeviceVector<double> loss(c.rows);
  DeviceVector<int32_t> argmax(c.rows);
  cross_entropy(cuda_stream(), args_of<T>(c, z.data(), targets.view(), gradient, loss.data(), argmax.data()));
  return {z.host(), loss.host(), argmax.host()};
}

class CudaCrossEntropy : public ::testing::TestWithParam<CrossEntropyCase> {
 protected:
  template <class T>
  static void check() {
    const CrossEntropyCase& c = GetParam();
    const auto logits = random_inputs<T>(c.rows * c.ld, "logits", c.scale, c.shift);
    Rng rng(7, "targets");
    std::vector<int32_t> host_targets;
    for (int64_t r = 0; r < c.rows; ++r)
      host_targets.push_back(static_cast<int32_t>(rng.below(static_cast<uint32_t>(c.classes))));
    const DeviceIndex targets(host_targets);
    const auto rows = static_cast<size_t>(c.rows);
    Results<double> reference{widen(logits), std::vector<double>(rows), std::vector<int32_t>(rows)};
    cross_entropy(stream(), args_of<double>(c, reference.logits.data(), targets.view(), true,
                                            reference.loss.data(), reference.argmax.data()));
    Results<float> plain{logits, std::vector<double>(rows), std::vector<int32_t>(rows)};
    cross_entropy_oracle(
        args_of<float>(c, plain.logits.data(), targets.view(), true, plain.loss.data(), plain.argmax.data()));

    const auto got = on_cuda<T>(c, logits, targets);
    // What stands between the rows is not the op's: equal on both sides, but larger than any gradient.
    auto gradient = got.logits;
    const auto before = as_type<T>(logits);
    for (int64_t r = 0; r < c.rows; ++r) {
      for (int64_t k = c.classes; k < c.ld; ++k) {
        const auto at = static_cast<size_t>(r * c.ld + k);
        expect_same_bits<T>({gradient[at]}, {before[at]}, "between the rows");
        gradient[at] = T{};
        plain.logits[at] = 0;
        reference.logits[at] = 0;
      }
    }
    // Sum, exponential and two factors are rounded once each; plain may be exact by luck.
    expect_earned_as(gradient, plain.logits, reference.logits, 4);
    EXPECT_LE(max_error(got.loss, reference.loss),
              2 * max_error(plain.loss, reference.loss) + 1e-7 * max_abs(reference.loss));
    EXPECT_EQ(got.argmax, reference.argmax);

    const auto evaluated = on_cuda<T>(c, logits, targets, false);
    expect_same_bits(evaluated.loss, got.loss, "loss without gradient");
    expect_same_bits(evaluated.logits, before, "logits without gradient");
    const auto elsewhere = on_cuda<T>(c, logits, targets, true, 1);
    expect_same_bits(elsewhere.logits, got.logits, "gradient at another address");
    expect_same_bits(elsewhere.loss, got.loss, "loss at another address");
  }
};

TEST_P(CudaCrossEntropy, float32_is_as_exact_as_the_definition) {
  check<float>();
}
TEST_P(CudaCrossEntropy, bfloat16_is_rounded_once) {
  check<BF16>();
}
TEST_P(CudaCrossEntropy, float16_is_rounded_once) {
  check<F16>();
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaCrossEntropy, ::testing::ValuesIn(cross_entropy_cases()),
                         [](const auto& info) { return info.param.name; });

struct Row {
  double loss = 0;
  int32_t argmax = -1;
  std::vector<float> gradient;
};
Row one_row(const std::vector<float>& z, int32_t target) {
  const auto n = static_cast<int64_t>(z.size());
  const auto r = on_cuda<float>({"", 1, n, n}, z, DeviceIndex({target}));
  return {r.loss[0], r.argmax[0], r.logits};
}

TEST(CudaCrossEntropyLimits, extreme_logits) {
  const float inf = std::numeric_limits<float>::infinity(), huge = std::numeric_limits<float>::max();
  const Row uniform = one_row(std::vector<float>(9, huge), 4);
  EXPECT_NEAR(uniform.loss, std::log(9.0), 1e-6);
  EXPECT_NEAR(uniform.gradient[0], 1.0 / 9, 1e-7);
  EXPECT_NEAR(uniform.gradient[4], 1.0 / 9 - 1, 1e-7);

  // Masked classes get no probability, also where a thread sees nothing else.
  std::vector<float> masked(5000, -inf);
  masked[3000] = 1;
  masked[4999] = 1;
  const Row two = one_row(masked, 3000);
  EXPECT_NEAR(two.loss, std::log(2.0), 1e-6);
  EXPECT_EQ(two.argmax, 3000);
  EXPECT_EQ(two.gradient[0], 0.0f);
  EXPECT_NEAR(two.gradient[3000], -0.5, 1e-7);
  EXPECT_NEAR(two.gradient[4999], 0.5, 1e-7);
  EXPECT_EQ(one_row(masked, 3).loss, std::numeric_limits<double>::infinity());

  std::vector<float> apart(3000, -huge);
  apart[2999] = huge;
  const Row sure = one_row(apart, 2999);
  EXPECT_EQ(sure.loss, 0.0);
  EXPECT_EQ(sure.gradient[2999], 0.0f);
}

TEST(CudaCrossEntropyLimits, bad_numbers_reach_the_loss) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const size_t at : {0, 5, 2100, 4095}) {
    for (const float bad : {nan, inf}) {
      std::vector<float> z(4096, 0.25f);
      z[at] = bad;
      const Row row = one_row(z, 7);
      EXPECT_TRUE(std::isnan(row.loss)) << at;
      EXPECT_TRUE(std::isnan(row.gradient[at])) << at;
      EXPECT_TRUE(0 <= row.argmax && row.argmax < 4096);
    }
  }
  EXPECT_TRUE(std::isnan(one_row(std::vector<float>(70, nan), 7).loss));
  EXPECT_TRUE(std::isnan(one_row(std::vector<float>(70, -inf), 7).loss));
}

TEST(CudaCrossEntropyLimits, argmax_is_the_lowest_index_of_a_tie) {
  for (const std::vector<int32_t>& ties :
       {std::vector<int32_t>{3, 9}, {0, 4999}, {2047, 2048}, {17, 18, 19, 20}, {4998, 4999}, {2052, 5}}) {
    std::vector<float> z(5000, -2.0f);
    for (const int32_t t : ties) z[static_cast<size_t>(t)] = 1.5f;
    EXPECT_EQ(one_row(z, 0).argmax, *std::min_element(ties.begin(), ties.end()));
  }
}

}  // namespace
}  // namespace ft::test
