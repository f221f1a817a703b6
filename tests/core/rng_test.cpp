// Random numbers: known answers, bounds and independence of streams.
#include "engine/core/rng.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <vector>

namespace ft {
namespace {

// The vectors that Salmon et al. publish with Random123: all zeros, all ones, digits of pi.
TEST(Philox, known_answers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, 0), (Philox4{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 0xffffffffffffffffull),
            (Philox4{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822ull),
            (Philox4{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Hash, known_answers) {
  EXPECT_EQ(mix_key(0, 0), 0xE220A8397B1DCDAFull);  // first output of splitmix64 from state 0
  EXPECT_EQ(mix_key(0, 1), 0x6E789E6AA1B965F4ull);  // its second
  EXPECT_EQ(hash_name(""), 0xcbf29ce484222325ull);
  EXPECT_EQ(hash_name("a"), 0xaf63dc4c8601ec8cull);
  EXPECT_EQ(hash_name("foobar"), 0x85944171f73967e8ull);
}

TEST(Rng, is_philox_on_a_counter) {
  Rng rng(42, "weights");
  const uint64_t key = mix_key(42, hash_name("weights"));
  for (uint32_t block = 0; block < 3; ++block) {
    for (const uint32_t word : philox({block, 0, 0, 0}, key)) EXPECT_EQ(rng.next(), word);
  }
}

TEST(Rng, streams_differ_by_seed_and_name) {
  std::set<uint32_t> first;
  for (const uint64_t seed : {0, 1, 42}) {
    for (const char* name : {"", "a", "b", "lora_A", "lora_B"}) first.insert(Rng(seed, name).next());
  }
  EXPECT_EQ(first.size(), 15u);
}

TEST(Rng, unit_floats_stay_below_one) {
  EXPECT_EQ(unit_float(0), 0.0f);
  EXPECT_LT(unit_float(0xffffffff), 1.0f);
  EXPECT_EQ(unit_float(0x80000000), 0.5f);
}

TEST(Rng, below_is_in_range_and_even) {
  Rng rng(1, "below");
  for (const uint32_t n : {1u, 2u, 3u, 7u, 1000u, 0x80000001u, 0xffffffffu}) {
    for (int i = 0; i < 1000; ++i) ASSERT_LT(rng.below(n), n);
  }
  std::vector<int> counts(7);
  for (int i = 0; i < 70000; ++i) ++counts[rng.below(7)];
  for (const int c : counts) EXPECT_NEAR(c, 10000, 5 * 93);  // five sigma
  // Without the rejection, five eighths of the numbers would fall into the lower half.
  int low = 0;
  for (int i = 0; i < 30000; ++i) low += rng.below(0xC0000000u) < 0x60000000u;
  EXPECT_NEAR(low, 15000, 5 * 87);
}

TEST(Rng, normal_has_the_right_moments) {
  Rng rng(5, "normal");
  double sum = 0, squares = 0, fourth = 0;
  constexpr int n = 200000;
  for (int i = 0; i < n; ++i) {
    const double v = rng.normal();
    ASSERT_TRUE(std::isfinite(v));
    sum += v;
    squares += v * v;
    fourth += v * v * v * v;
  }
  EXPECT_NEAR(sum / n, 0, 5 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1, 5 * std::sqrt(2.0 / n));
  EXPECT_NEAR(fourth / n, 3, 5 * std::sqrt(96.0 / n));
}

TEST(Rng, uniform_fills_its_interval) {
  Rng rng(6, "uniform");
  double sum = 0;
  for (int i = 0; i < 100000; ++i) {
    const float v = rng.uniform(-2, 6);
    ASSERT_TRUE(-2 <= v && v < 6);
    sum += v;
  }
  EXPECT_NEAR(sum / 100000, 2, 5 * 8 / std::sqrt(12.0 * 100000));
}

TEST(DropoutBits, depend_on_every_argument) {
  const uint64_t key = dropout_key(3, 7);
  const Philox4 base = dropout_bits(key, 1, 2, 3, 4);
  EXPECT_EQ(base, philox({4, 3, 2, 1}, key));
  EXPECT_NE(base, dropout_bits(dropout_key(3, 8), 1, 2, 3, 4));
  EXPECT_NE(base, dropout_bits(dropout_key(4, 7), 1, 2, 3, 4));
  EXPECT_NE(base, dropout_bits(key, 5, 2, 3, 4));
  EXPECT_NE(base, dropout_bits(key, 1, 5, 3, 4));
  EXPECT_NE(base, dropout_bits(key, 1, 2, 5, 4));
  EXPECT_NE(base, dropout_bits(key, 1, 2, 3, 5));
}

}  // namespace
}  // namespace ft
