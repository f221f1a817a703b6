// Conversions of the storage types, over every bit pattern and every rounding boundary.
#include "engine/core/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace ft {
namespace {

/// The value of a pattern with the given field widths, by the definition of IEEE 754.
double value_of(uint32_t bits, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = static_cast<int>(bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const double mantissa = bits & ((1u << mantissa_bits) - 1);
  const double sign = bits >> (exponent_bits + mantissa_bits) ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) {
    return mantissa != 0 ? std::numeric_limits<double>::quiet_NaN()
                         : sign * std::numeric_limits<double>::infinity();
  }
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

TEST(DTypeConversion, every_float16_pattern_widens_exactly_and_comes_back) {
  for (uint32_t b = 0; b < 65536; ++b) {
    const float f = to_float(F16{static_cast<uint16_t>(b)});
    const double expected = value_of(b, 5, 10);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(f)) << b;
      ASSERT_TRUE(std::isnan(to_float(to_f16(f)))) << b;
    } else {
      ASSERT_EQ(static_cast<double>(f), expected) << b;
      ASSERT_EQ(std::signbit(f), b >= 32768) << b;
      ASSERT_EQ(to_f16(f).bits, b);
    }
  }
}

TEST(DTypeConversion, every_bfloat16_pattern_widens_exactly_and_comes_back) {
  for (uint32_t b = 0; b < 65536; ++b) {
    const float f = to_float(BF16{static_cast<uint16_t>(b)});
    const double expected = value_of(b, 8, 7);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(f)) << b;
      ASSERT_TRUE(std::isnan(to_float(to_bf16(f)))) << b;
    } else {
      ASSERT_EQ(static_cast<double>(f), expected) << b;
      ASSERT_EQ(to_bf16(f).bits, b);
    }
  }
}

// Between two neighbours of the storage type the nearest one wins, and the even pattern on a tie. The
// midpoint and its two neighbours in float are where the result changes: all of them, both signs.
template <class Narrow>
void check_boundaries(uint16_t infinity, Narrow narrow, int exponent_bits, int mantissa_bits) {
  for (uint32_t b = 0; b < infinity; ++b) {
    const double low = value_of(b, exponent_bits, mantissa_bits);
    // Beyond the largest number the spacing goes on as if the exponent did.
    const double high = b + 1 == infinity ? 2 * low - value_of(b - 1, exponent_bits, mantissa_bits)
                                          : value_of(b + 1, exponent_bits, mantissa_bits);
    const auto middle = static_cast<float>((low + high) / 2);
    ASSERT_EQ(static_cast<double>(middle), (low + high) / 2);
    const uint32_t even = b % 2 == 0 ? b : b + 1;
    for (const uint32_t sign : {0u, 0x8000u}) {
      const float m = sign ? -middle : middle, away = sign ? -INFINITY : INFINITY;
      ASSERT_EQ(narrow(m).bits, sign | even) << b;
      ASSERT_EQ(narrow(std::nextafter(m, 0.0f)).bits, sign | b) << b;
      ASSERT_EQ(narrow(std::nextafter(m, away)).bits, sign | (b + 1)) << b;
    }
  }
}

TEST(DTypeConversion, float16_rounds_to_nearest_even_at_every_boundary) {
  check_boundaries(
      0x7c00, [](float v) { return to_f16(v); }, 5, 10);
}
TEST(DTypeConversion, bfloat16_rounds_to_nearest_even_at_every_boundary) {
  check_boundaries(
      0x7f80, [](float v) { return to_bf16(v); }, 8, 7);
}

TEST(DTypeConversion, beyond_the_range) {
  constexpr float huge = std::numeric_limits<float>::max(), inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(to_f16(huge).bits, 0x7c00);
  EXPECT_EQ(to_f16(-inf).bits, 0xfc00);
  EXPECT_EQ(to_bf16(huge).bits, 0x7f80);
  EXPECT_EQ(to_bf16(-inf).bits, 0xff80);
  EXPECT_EQ(to_f16(std::numeric_limits<float>::denorm_min()).bits, 0);
  EXPECT_EQ(to_f16(-std::numeric_limits<float>::denorm_min()).bits, 0x8000);
  // A NaN whose upper mantissa bits are zero must not become an infinity.
  const float low_nan = std::bit_cast<float>(0x7f800001u);
  EXPECT_TRUE(std::isnan(to_float(to_f16(low_nan))));
  EXPECT_TRUE(std::isnan(to_float(to_bf16(low_nan))));
  EXPECT_TRUE(std::isnan(to_float(to_bf16(std::bit_cast<float>(0xffffffffu)))));
}

TEST(DType, names_sizes_and_dispatch) {
  EXPECT_EQ(size_of(DType::f64), 8u);
  EXPECT_EQ(size_of(DType::bf16), 2u);
  EXPECT_EQ(size_of(DType::u8), 1u);
  EXPECT_EQ(dtype_name(DType::bf16), "bfloat16");
  size_t size = 0;
  const auto note = [&]<class T>() { size = sizeof(T); };
  dispatch_compute(DType::f32, note);
  EXPECT_EQ(size, 4u);
  dispatch_compute(DType::f64, note);
  EXPECT_EQ(size, 8u);
  EXPECT_THROW(dispatch_compute(DType::bf16, note), Error);
  dispatch_compute(ComputeTypes<float, BF16>(), DType::bf16, note);
  EXPECT_EQ(size, 2u);
  EXPECT_THROW(dispatch_compute(ComputeTypes<float, BF16>(), DType::f64, note), Error);
}

TEST(Check, messages_and_kinds) {
  EXPECT_NO_THROW(FT_CHECK(1 < 2, "[op] expected {}", 1));
  try {
    FT_CHECK(2 < 1, "[op] expected {}, got {}", 1, "two");
    FAIL();
  } catch (const InputError&) {
    FAIL() << "an invariant is not the user's fault";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "[op] expected 1, got two");
  }
  EXPECT_THROW(bad_input("a.yaml:{}: unknown key", 3), InputError);
}

}  // namespace
}  // namespace ft
