// Attention: against the plain composition, against finite differences, and the promises about bits.
#include "engine/ops/attention.h"

#include <gtest/gtest.h>

#include "engine/autograd/tape.h"
#include "engine/core/memory.h"
#include "engine/ops/head_columns.h"
#include "tests/ops/attention_cases.h"
#include "tests/ops/attention_oracle.h"
#include "tests/ops/attention_prefix.h"
#include "tests/ops/op_test.h"

namespace ft::test {
namespace {

template <class T>
void run(AttentionData<T>& x, int threads = 1) {
  x.clear();
  attention(stream(threads), x.args());
  attention_grad(stream(threads), x.grad_args());
}

template <class T>
AttentionData<T> oracle(const AttentionCase& c) {
  AttentionData<T> x(c);
  attention_oracle(x.args());
  attention_grad_oracle(x.grad_args());
  return x;
}

class Attention : public testing::TestWithParam<AttentionCase> {};
INSTANTIATE_TEST_SUITE_P(Cases, Attention, testing::ValuesIn(attention_cases()),
                         [](const auto& info) { return info.param.name; });

// Twice the plain float32 loop's error: the kernel sums in the same order, plus one unit for the rounding of
// q·scale and of 1 / sum, which the plain loop does not have.
TEST_P(Attention, Float32WithinEarnedTolerance) {
  const AttentionData<float> plain = oracle<float>(GetParam());
  const AttentionData<double> exact = oracle<double>(GetParam());
  for_each_target([&] {
    AttentionData<float> x(GetParam());
    run(x);
    for (size_t i = 0; i < x.results().size(); ++i) {
      SCOPED_TRACE(x.results()[i].first);
      expect_earned(*x.results()[i].second, *plain.results()[i].second, *exact.results()[i].second, 2);
    }
  });
}

TEST_P(Attention, Float64IsThePlainComposition) {
  const AttentionData<double> exact = oracle<double>(GetParam());
  for_each_target([&] {
    AttentionData<double> x(GetParam());
    run(x);
    for (size_t i = 0; i < x.results().size(); ++i)
      EXPECT_LE(max_error(*x.results()[i].second, *exact.results()[i].second),
                1e-14 * (1 + max_abs(*exact.results()[i].second)))
          << x.results()[i].first;
  });
}

TEST_P(Attention, GradientIsTheDifferenceQuotient) {
  AttentionData<double> x(GetParam());
  // Only what belongs to a head takes part: the space between the rows of out keeps its mark.
  const auto loss = [&] {
    attention(stream(), x.args());
    return dot(x.out, x.dout);
  };
  for (size_t i = 0; i < x.dout.size(); ++i)
    if (static_cast<int64_t>(i) % x.ldo >= x.shape.heads * x.shape.head_dim) x.dout[i] = 0;
  run(x);
  const AttentionData<double> kept = x;
  const auto check = [&](std::vector<double>& value, std::vector<double> analytic, const char* what) {
    SCOPED_TRACE(what);
    for (double& d : analytic)
      if (d == AttentionData<double>::kMark) d = 0;  // rows and columns that no sample owns
    expect_gradient(value, loss, analytic, 1e-7, 1e-5, x.out.size() > 10000 ? 6 : 40);
  };
  check(x.q, kept.dq, "dq");
  check(x.k, kept.dk, "dk");
  check(x.v, kept.dv, "dv");
  check(x.prefix_k, kept.dprefix_k, "dprefix_k");
  check(x.prefix_v, kept.dprefix_v, "dprefix_v");
  check(x.bias, kept.dbias, "dbias");
}

template <class T>
void expect_equal(const AttentionData<T>& a, const AttentionData<T>& b) {
  for (size_t i = 0; i < a.results().size(); ++i)
    expect_same_bits(*a.results()[i].second, *b.results()[i].second, a.results()[i].first);
}

TEST_P(Attention, ThreadsDoNotChangeBits) {
  AttentionData<float> one(GetParam());
  run(one);
  for (const int threads : kThreadCounts) {
    AttentionData<float> x(GetParam());
    run(x, threads);
    expect_equal(one, x);
  }
}

// One call a sample gives what one call for all gives: rows, and the prefix gradients added up.
TEST_P(Attention, SamplesAloneOrTogetherGiveTheSameBits) {
  for_each_target([&] {
    AttentionData<float> together(GetParam()), alone(GetParam());
    run(together);
    for (int32_t s = 0; s < together.args().samples; ++s) {
      AttentionGradArgs<float> g = alone.grad_args();
      g.forward.samples = 1;
      g.forward.q_bounds += s;
      g.forward.kv_begin += s;
      g.forward.kv_end += s;
      attention(stream(), g.forward);
      attention_grad(stream(), g);
    }
    expect_equal(together, alone);
  });
}

// What generation relies on: a query computed among a prompt, in pieces of five, or one by one with a cache.
TEST_P(Attention, PrefillAndIncrementalGiveTheSameBits) {
  if (!GetParam().causal) return;  // a query that sees later keys has no incremental form
  for_each_target([&] {
    AttentionData<float> prefill(GetParam());
    attention(stream(), prefill.args());
    for (const int32_t piece : {1, 5}) {
      AttentionData<float> steps(GetParam());
      for (int32_t s = 0; s < steps.args().samples; ++s) {
        const int32_t first = steps.q_bounds[s], last = steps.q_bounds[s + 1];
        for (int32_t t = first; t < last; t += piece) {
          const int32_t bounds[2] = {t, std::min(t + piece, last)};
          // The keys up to the piece's last query; none where the queries outnumber the keys.
          const int32_t end = std::max(steps.kv_begin[s], steps.kv_end[s] - (last - bounds[1]));
          AttentionArgs<float> a = steps.args();
          a.samples = 1;
          a.q_bounds = bounds;
          a.kv_begin += s;
          a.kv_end = &end;
          attention(stream(), a);
        }
      }
      expect_same_bits(prefill.out, steps.out, "out");
      expect_same_bits(prefill.lse, steps.lse, "lse");
    }
  });
}

// As T5 has it: one bias for two layers, whose contributions add up.
TEST(AttentionOp, ABiasOfTwoLayersHasOneGradient) {
  constexpr int64_t kTokens = 9, kHeads = 2, kWidth = kHeads * 4, kSpan = 3;
  auto layout = std::make_shared<Layout>();
  layout->add_sample(kTokens - 2, 0);
  layout->add_sample(2, 1);
  const auto x = random_vector<double>(kTokens * kWidth, "x"),
             dy = random_vector<double>(kTokens * kWidth, "dy");
  std::vector<double> bias = random_vector<double>(kHeads * (2 * kSpan + 1), "bias"), dbias;
  const auto loss = [&] {
    Tape tape(Stream(stream()), DType::f64, layout, true);
    const Var b(tensor_of(bias, kHeads), true);
    const Var keys(tensor_of(x, kTokens));
    Var y = keys;
    for (int layer = 0; layer < 2; ++layer)
      y = attention(tape, {y}, {keys}, {keys}, nullptr, nullptr,
                    {.heads = kHeads, .kv_heads = kHeads, .head_dim = 4, .causal = false, .alibi_slopes = {}},
                    &b);
    y.gradient().add(tape.stream(), tensor_of(dy, kTokens));
    const std::vector<double> out = y.value().to_vector<double>();
    tape.backward();
    dbias = b.gradient().sum().to_vector<double>();
    return dot(out, dy);
  };
  loss();
  const std::vector<double> analytic = dbias;
  expect_gradient(bias, loss, analytic, 1e-7, 1e-5, 40);
}

TEST(AttentionEdges, APrefixStandsBeforeTheSamplesOwnKeys) {
  auto [prefixed, leading] = prefix_and_leading_keys<double>();
  attention(stream(), prefixed.args());
  attention(stream(), leading.args());
  EXPECT_LE(max_error(prefixed.out, leading.out), 1e-14);
}

TEST(AttentionEdges, RowsWithoutKeysAreZero) {
  AttentionData<float> x({"", {3, 4}, {0, 2}, 2, 1, 8});
  run(x);
  for (int64_t token = 0; token < 5;
       ++token)  // sample 0 whole; the first two queries of sample 1 precede its keys
    for (int64_t h = 0; h < 2; ++h) {
      EXPECT_EQ(x.lse[token * 2 + h], -std::numeric_limits<float>::infinity());
      for (int64_t d = 0; d < 8; ++d) {
        EXPECT_EQ(x.out[token * x.ldo + h * 8 + d], 0);
        EXPECT_EQ(x.dq[token * x.ldq + h * 8 + d], 0);
      }
    }
}

TEST(AttentionEdges, UntouchedBetweenRows) {
  const AttentionCase c{"", {3, 4}, {}, 2, 1, 8};
  AttentionData<float> x(c);
  run(x);
  for (int64_t row : {0, 1, 5, 6})  // rows of k that no sample owns
    for (int64_t d = 0; d < 8; ++d) EXPECT_EQ(x.dk[row * x.ldk + d], x.kMark);
  for (int64_t token = 0; token < 7; ++token) EXPECT_EQ(x.out[token * x.ldo + 16], x.kMark);
}

// A score that is not a number must reach the output, and only of the queries that see its key.
TEST(AttentionEdges, BadScoresAreNotHidden) {
  AttentionData<float> x({"", {20}, {}, 1, 1, 8});
  x.k[(2 + 7) * x.ldk] = std::numeric_limits<float>::quiet_NaN();
  attention(stream(), x.args());
  for (int64_t token = 0; token < 20; ++token)
    EXPECT_EQ(std::isnan(x.out[token * x.ldo]), token >= 7) << token;
}

TEST(AttentionEdges, LargeScoresDoNotOverflow) {
  AttentionData<float> x({"", {60}, {}, 2, 1, 8});
  for (float& q : x.q) q *= 1000;
  run(x);
  for (const auto& [name, values] : x.results())
    for (const float f : *values) ASSERT_TRUE(std::isfinite(f)) << name;
}

TEST(AttentionEdges, MemoryIsLinearInTheLength) {
  AttentionData<float> x({"", {4000}, {}, 1, 1, 4});
  const size_t before = memory_use()[static_cast<size_t>(MemoryClass::workspace)].live;
  reset_memory_peaks();
  run(x);
  const size_t peak = memory_use()[static_cast<size_t>(MemoryClass::workspace)].peak;
  EXPECT_LE(peak, before + (1 << 20) + size_t{4000} * 64 * 2 * sizeof(float));  // scores alone would be 64 MB
}

TEST(AttentionEdges, ShapesAreChecked) {
  AttentionData<float> x({"", {3}, {}, 2, 1, 8});
  AttentionArgs<float> a = x.args();
  a.kv_heads = 3;
  EXPECT_THROW(attention(stream(), a), Error);
  a = x.args();
  a.window = 2;
  a.causal = false;
  EXPECT_THROW(attention(stream(), a), Error);
  AttentionGradArgs<float> g = x.grad_args();
  g.forward.lse = nullptr;
  EXPECT_THROW(attention_grad(stream(), g), Error);
}

}  // namespace
}  // namespace ft::test
