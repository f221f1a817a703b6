// Rounding of tensor-core sums: what distinguishes the three modes, by sums that were chosen to show it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "kernels/sim/float_format.h"
#include "kernels/sim/mma.h"

namespace ft::sim::test {
namespace {

struct Tile {
  float a[16 * 16] = {}, b[8 * 16] = {}, c[16 * 8] = {}, d[16 * 8] = {};
  float first(Rounding rounding) {
    mma_tile(rounding, 16, a, b, c, d);
    return d[0];
  }
};

// 1 + sixteen products of 2^-e in the first element.
float one_and_sixteen(Rounding rounding, int e) {
  Tile t;
  t.c[0] = 1.0f;
  for (int k = 0; k < 16; ++k) {
    t.a[k] = std::ldexp(1.0f, -e);
    t.b[k] = 1.0f;
  }
  return t.first(rounding);
}

TEST(Mma, KeepsOneExtraBitOnA100AndTwoOnH100) {
  for (const Rounding r : {Rounding::exact, Rounding::a100, Rounding::h100}) {
    EXPECT_EQ(one_and_sixteen(r, 24), 1.0f + 0x1p-20f);
  }
  EXPECT_EQ(one_and_sixteen(Rounding::exact, 25), 1.0f + 0x1p-21f);
  EXPECT_EQ(one_and_sixteen(Rounding::h100, 25), 1.0f + 0x1p-21f);
  EXPECT_EQ(one_and_sixteen(Rounding::a100, 25), 1.0f);
  EXPECT_EQ(one_and_sixteen(Rounding::exact, 26), 1.0f + 0x1p-22f);
  EXPECT_EQ(one_and_sixteen(Rounding::h100, 26), 1.0f);
}

TEST(Mma, CutsTheResultOffWhereExactRounds) {
  Tile t;
  t.c[0] = 1.0f;
  t.a[0] = 0x1.8p-24f;  // three quarters of the last bit of 1
  t.b[0] = 1.0f;
  EXPECT_EQ(t.first(Rounding::exact), 1.0f + 0x1p-23f);
  EXPECT_EQ(t.first(Rounding::a100), 1.0f);
  EXPECT_EQ(t.first(Rounding::h100), 1.0f);
  t.c[0] = -1.0f;
  t.a[0] = -0x1.8p-24f;
  EXPECT_EQ(t.first(Rounding::a100), -1.0f);  // towards zero, not down
}

TEST(Mma, AddsEightProductsAStepOnA100) {
  // Two halves that cancel: within one step the small products are cut off beside the large ones, in a step
  // of their own they are not.
  Tile t;
  t.a[0] = 0x1p20f, t.a[1] = -0x1p20f;
  for (int k = 8; k < 16; ++k) t.a[k] = 0x1p-10f;
  std::fill(t.b, t.b + 16, 1.0f);
  EXPECT_EQ(t.first(Rounding::a100), 0x1p-7f);
  EXPECT_EQ(t.first(Rounding::h100), 0.0f);
  EXPECT_EQ(t.first(Rounding::exact), 0x1p-7f);
}

TEST(Mma, InfinitiesAndNanPass) {
  for (const Rounding r : {Rounding::exact, Rounding::a100, Rounding::h100}) {
    Tile t;
    t.a[0] = INFINITY;
    t.b[0] = 1.0f;
    EXPECT_EQ(t.first(r), INFINITY);
    t.c[0] = -INFINITY;
    EXPECT_TRUE(std::isnan(t.first(r)));
  }
}

TEST(Mma, EveryModeIsWithinItsBoundOfTheExactSum) {
  std::mt19937 engine(5);
  std::normal_distribution<float> draw;
  for (int repeat = 0; repeat < 50; ++repeat) {
    Tile t;
    for (float& v : t.a) v = bf16_to_float(float_to_bf16(draw(engine)));
    for (float& v : t.b) v = bf16_to_float(float_to_bf16(draw(engine)));
    for (float& v : t.c) v = draw(engine);
    for (const Rounding r : {Rounding::exact, Rounding::a100, Rounding::h100}) {
      mma_tile(r, 16, t.a, t.b, t.c, t.d);
      for (int row = 0; row < 16; ++row) {
        for (int n = 0; n < 8; ++n) {
          double sum = t.c[row * 8 + n], largest = std::fabs(sum);
          for (int k = 0; k < 16; ++k) {
            const double product =
                static_cast<double>(t.a[row * 16 + k]) * static_cast<double>(t.b[n * 16 + k]);
            sum += product;
            largest = std::max(largest, std::fabs(product));
          }
          // Each of 17 addends loses less than one unit of the largest's last kept bit, twice on A100, and
          // the result (at most 17 times the largest) one unit of its own.
          const double bound = r == Rounding::exact ? std::fabs(sum) * 0x1p-24
                                                    : largest * (2 * 17 * 0x1p-24 + 2 * 17 * 0x1p-23);
          ASSERT_LE(std::fabs(t.d[row * 8 + n] - sum), bound + 1e-30);
        }
      }
    }
  }
}

}  // namespace
}  // namespace ft::sim::test
