// Attention on a CUDA device against the plain composition, in every type, and the promises about
// bits.
#include "engine/ops/attention.h"

#include <gtest/gtest.h>

#include "tests/cuda/device_attention.h"
#include "tests/ops/attention_oracle.h"
#include "tests/ops/op_test.h"

namespace ft::test {
namespace {

/// The plain composition in U on x's operands.
template <class U>
AttentionData<U> oracle(const AttentionData<float>& x) {
  AttentionData<U> y(x.shape);
  y.ldq = x.ldq, y.ldk = x.ldk, y.ldv = x.ldv, y.ldo = x.ldo, y.ld_prefix = x.ld_prefix;
  y.q.assign(x.q.begin(), x.q.end());
  y.k.assign(x.k.begin(), x.k.end());
  y.v.assign(x.v.begin(), x.v.end());
  y.prefix_k.assign(x.prefix_k.begin(), x.prefix_k.end());
  y.prefix_v.assign(x.prefix_v.begin(), x.prefix_v.end());
  y.dout.assign(x.dout.begin(), x.dout.end());
  y.clear();
  attention_oracle(y.args());
  attention_grad_oracle(y.grad_args());
  return y;
}

void expect_earned_results(const AttentionData<float>& x) {
  const AttentionData<float> plain = oracle<float>(x);
  const AttentionData<double> exact = oracle<double>(x);
  for (size_t i = 0; i < x.results().size(); ++i) {
    SCOPED_TRACE(x.results()[i].first);
    expect_earned(*x.results()[i].second, *plain.results()[i].second, *exact.results()[i].second, 2);
  }
}

/// What a rounding of the output, of the size one, adds up to in the gradient of the bias, whose own sums may
/// cancel: p sums to one over a row of ds = p · (dp − do·o).
double bias_scale(const AttentionData<double>& x) {
  double largest = 0;
  for (int64_t h = 0; h < x.shape.heads; ++h) {
    double sum = 0;
    for (int64_t token = 0; token < x.tokens; ++token)
      for (int64_t f = 0; f < x.shape.head_dim; ++f) {
        const auto at = static_cast<size_t>(token * x.ldo + h * x.shape.head_dim + f);
        sum += std::fabs(x.dout[at] * x.out[at]);
      }
    largest = std::max(largest, sum);
  }
  return largest;
}

/// Results of T, and within p, ds, and the output that ds is a difference with, rounded to T: errors within
/// `units` of half a unit of the largest element, one for each. lse stays float32. What belongs to nobody
/// keeps its mark.
template <class T>
void expect_rounded_results(const AttentionData<float>& x, double units = 3) {
  const AttentionData<double> exact = oracle<double>(x);
  for (size_t i = 0; i < x.results().size(); ++i) {
    const std::string name = x.results()[i].first;
    const std::vector<float>& got = *x.results()[i].second;
    const std::vector<double>& reference = *exact.results()[i].second;
    double largest = name == "dbias" ? bias_scale(exact) : 0;
    for (const double r : reference)
      if (r != x.kMark && std::isfinite(r)) largest = std::max(largest, std::fabs(r));
    const double bound = largest * (name == "lse" ? 0x1p-20 : units * kHalfUnit<T>);
    for (size_t j = 0; j < got.size(); ++j) {
      if (reference[j] == x.kMark || !std::isfinite(reference[j]))
        ASSERT_EQ(got[j], static_cast<float>(reference[j])) << name << ' ' << j;
      else
        ASSERT_NEAR(got[j], reference[j], bound) << name << ' ' << j;
    }
  }
}

void expect_equal(const AttentionData<float>& a, const AttentionData<float>& b) {
  for (size_t i = 0; i < a.results().size(); ++i)
    expect_same_bits(*a.results()[i].second, *b.results()[i].second, a.results()[i].first);
}

class CudaAttention : public testing::TestWithParam<AttentionCase> {};
INSTANTIATE_TEST_SUITE_P(Cases, CudaAttention, testing::ValuesIn(attention_cases()),
                         [](const auto& info) { return info.param.name; });

TEST_P(CudaAttention, Float32WithinEarnedTolerance) {
  AttentionData<float> x(GetParam());
  run<float>(x);
  expect_earned_results(x);
}

template <class T>
void check_16_bits(AttentionData<float> x) {
  round_inputs<T>(x);
  run<T>(x);
  expect_rounded_results<T>(x);
}
TEST_P(CudaAttention, BFloat16WithinItsRoundings) {
  check_16_bits<BF16>(AttentionData<float>(GetParam()));
}
TEST_P(CudaAttention, Float16WithinItsRoundings) {
  check_16_bits<F16>(AttentionData<float>(GetParam()));
}

// What the device reads and writes 16 bytes at a time, and what tensor cores take: head sizes of 16 and more.
class AlignedCudaAttention : public testing::TestWithParam<AttentionCase> {};
INSTANTIATE_TEST_SUITE_P(
    Cases, AlignedCudaAttention,
    testing::Values(AttentionCase{"one_tile", {16}, {}, 1, 1, 16},
                    AttentionCase{"ragged", {3, 1, 37, 0, 66}, {}, 2, 2, 32},
                    AttentionCase{"grouped_fused", {70, 21}, {}, 6, 2, 16, 0, 0, true, false, true},
                    AttentionCase{"prefix", {6, 1, 50}, {}, 4, 2, 48, 19},
                    AttentionCase{"prefix_not_causal", {34, 9}, {}, 3, 3, 16, 3, 0, false},
                    AttentionCase{"window_alibi", {90, 4}, {}, 2, 1, 32, 5, 17, true, true},
                    // A tile that its first, or last, lane sees all but one key of.
                    AttentionCase{"tile_border_causal", {130}, {}, 1, 1, 16, 62},
                    AttentionCase{"tile_border_window", {140}, {}, 1, 1, 16, 0, 127},
                    AttentionCase{"window_cuts_a_warp", {140}, {}, 1, 1, 16, 0, 23},
                    AttentionCase{"cache", {2, 1, 5}, {71, 130, 1}, 4, 1, 64, 2},
                    AttentionCase{"more_queries_than_keys", {40}, {9}, 2, 1, 16},
                    AttentionCase{"wide", {35}, {}, 2, 1, 128},
                    AttentionCase{"relative", {70, 3}, {}, 6, 2, 32, 0, 0, false, false, false, 20},
                    AttentionCase{
                        "relative_prefix_alibi_window", {90, 4}, {}, 2, 1, 64, 5, 17, true, true, false, 9},
                    AttentionCase{"odd_width", {33}, {}, 1, 1, 80, 2},
                    AttentionCase{"widest", {18, 3}, {}, 1, 1, 256, 3}),
    [](const auto& info) { return info.param.name; });

TEST_P(AlignedCudaAttention, Float32WithinEarnedTolerance) {
  AttentionData<float> x = aligned(GetParam());
  run<float>(x);
  expect_earned_results(x);
}

TEST_P(AlignedCudaAttention, BFloat16WithinItsRoundings) {
  check_16_bits<BF16>(aligned(GetParam()));
}
TEST_P(AlignedCudaAttention, Float16WithinItsRoundings) {
  check_16_bits<F16>(aligned(GetParam()));
}

template <class T>
void expect_promised_bits(const AttentionData<float>& start) {
  AttentionData<float> together = start, again = start, alone = start;
  run<T>(together);
  run<T>(again);
  expect_equal(together, again);
  // One call a sample gives what one call for all gives: rows, and the prefix gradients added up.
  DeviceAttention<T> device(alone);
  for (int32_t s = 0; s < device.args().samples; ++s) {
    AttentionGradArgs<T> g = device.grad_args();
    g.forward.samples = 1;
    g.forward.q_bounds = g.forward.q_bounds.from(s);
    g.forward.kv_begin = g.forward.kv_begin.from(s);
    g.forward.kv_end = g.forward.kv_end.from(s);
    attention(cuda_stream(), g.forward);
    attention_grad(cuda_stream(), g);
  }
  device.download();
  if (sizeof(T) == 2) {  // prefix gradients in 16 bits are rounded once a call
    alone.dprefix_k = together.dprefix_k;
    alone.dprefix_v = together.dprefix_v;
  }
  expect_equal(together, alone);
}

TEST(CudaAttentionBits, SameAgainAndForSamplesAlone) {
  const AttentionData<float> x({"", {19, 1, 30}, {}, 4, 2, 12, 7, 0, true, true, false, 5});
  expect_promised_bits<float>(x);
  expect_promised_bits<BF16>(x);
}

TEST(CudaAttentionBits, SameAgainAndForSamplesAloneOnTensorCores) {
  AttentionData<float> x = aligned({"", {19, 1, 70}, {}, 4, 2, 32, 7, 0, true, true, false, 5});
  expect_promised_bits<BF16>(x);
}

// Generation: a row's pieces of keys are joined, whatever its company.
TEST(CudaAttentionBits, LongCacheInPieces) {
  const AttentionCase both{"", {1, 2}, {1500, 1100}, 4, 2, 8, 3, 0, true, true};
  AttentionData<float> x(both);
  run<float>(x, false);
  const AttentionData<float> plain = oracle<float>(x);
  const AttentionData<double> exact = oracle<double>(x);
  expect_earned(x.out, plain.out, exact.out, 2);
  expect_earned(x.lse, plain.lse, exact.lse, 2);

  AttentionData<float> one(both);
  DeviceAttention<float> device(one);
  AttentionArgs<float> a = device.args();
  a.samples = 1;
  attention(cuda_stream(), a);
  device.download();
  for (size_t i = 0; i < static_cast<size_t>(x.ldo); ++i) ASSERT_EQ(one.out[i], x.out[i]) << i;
  for (size_t h = 0; h < 4; ++h) ASSERT_EQ(one.lse[h], x.lse[h]);

  round_inputs<BF16>(x);
  x.clear();
  run<BF16>(x, false);
  expect_half_units(as_type<BF16>(x.out), oracle<double>(x).out, 0.02);  // of the mark, 77
}

TEST(CudaAttentionEdges, RowsWithoutKeysAreZero) {
  AttentionData<float> x({"", {3, 4}, {0, 2}, 2, 1, 8});
  run<float>(x);
  for (int64_t token = 0; token < 5; ++token)
    for (int64_t h = 0; h < 2; ++h) {
      EXPECT_EQ(x.lse[static_cast<size_t>(token * 2 + h)], -std::numeric_limits<float>::infinity());
      for (int64_t d = 0; d < 8; ++d) {
        EXPECT_EQ(x.out[static_cast<size_t>(token * x.ldo + h * 8 + d)], 0);
        EXPECT_EQ(x.dq[static_cast<size_t>(token * x.ldq + h * 8 + d)], 0);
      }
    }
}

// A score that is not a number must reach the output, and only of the queries that see its key.
TEST(CudaAttentionEdges, BadScoresAreNotHidden) {
  const auto check = []<class T>(int64_t head_dim) {
    AttentionData<float> x = aligned({"", {20}, {}, 1, 1, head_dim});
    x.k[static_cast<size_t>((2 + 7) * x.ldk)] = std::numeric_limits<float>::quiet_NaN();
    run<T>(x, false);
    for (int64_t token = 0; token < 20; ++token)
      EXPECT_EQ(std::isnan(x.out[static_cast<size_t>(token * x.ldo)]), token >= 7) << token;
  };
  check.operator()<float>(8);
  check.operator()<BF16>(8);
  check.operator()<BF16>(16);
  check.operator()<F16>(16);
}

TEST(CudaAttentionEdges, LargeScoresDoNotOverflow) {
  const auto check = []<class T>(int64_t head_dim) {
    AttentionData<float> x = aligned({"", {60}, {}, 2, 1, head_dim});
    for (float& q : x.q) q *= 1000;
    run<T>(x);
    for (const auto& [name, values] : x.results())
      for (const float f : *values) ASSERT_TRUE(std::isfinite(f)) << name;
  };
  check.operator()<float>(8);
  check.operator()<BF16>(16);
}

TEST(CudaAttentionEdges, FrozenPrefixAndNoLse) {
  AttentionData<float> x({"", {20, 3}, {}, 2, 1, 8, 70}), y = x;
  run<float>(x);
  DeviceAttention<float> device(y);
  AttentionGradArgs<float> g = device.grad_args();
  g.dprefix_k = g.dprefix_v = nullptr;
  attention(cuda_stream(), g.forward);
  attention_grad(cuda_stream(), g);
  AttentionArgs<float> a = device.args();
  a.lse = nullptr;
  attention(cuda_stream(), a);
  device.download();
  for (const float f : y.dprefix_k) EXPECT_EQ(f, 0);
  y.dprefix_k = x.dprefix_k;
  y.dprefix_v = x.dprefix_v;
  expect_equal(x, y);
}

TEST(CudaAttentionEdges, ShapesAreChecked) {
  AttentionData<float> x({"", {3}, {}, 2, 1, 8});
  DeviceAttention<float> device(x);
  AttentionArgs<float> a = device.args();
  a.kv_heads = 3;
  EXPECT_THROW(attention(cuda_stream(), a), Error);
  a = device.args();
  a.head_dim = 260;
  EXPECT_THROW(attention(cuda_stream(), a), Error);
  a = device.args();
  a.window = 2;
  a.causal = false;
  EXPECT_THROW(attention(cuda_stream(), a), Error);
  AttentionGradArgs<float> g = device.grad_args();
  g.forward.lse = nullptr;
  EXPECT_THROW(attention_grad(cuda_stream(), g), Error);
  a = device.args();
  a.samples = 0;
  attention(cuda_stream(), a);  // nothing to do
}

}  // namespace
}  // namespace ft::test
