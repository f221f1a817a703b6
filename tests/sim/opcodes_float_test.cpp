// Opcodes of float32 and the halves against the words of the PTX ISA, by the processor's own rounding modes,
// the compiler's own float16, and comparison of neighbours for bfloat16.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/sim/sim.h"
#include "tests/sim/bit_patterns.h"
#include "tests/sim/device_array.h"
#include "tests/sim/opcodes.h"

namespace ft::sim::test {
namespace {

using S = int32_t;

float half_value(U bits) {
  return static_cast<float>(std::bit_cast<_Float16>(static_cast<uint16_t>(bits)));
}
U half_bits(double x) {
  return std::bit_cast<uint16_t>(static_cast<_Float16>(x));
}

// Nearest bfloat16 by comparing both neighbours; ties to the even one.
U bfloat_bits(double x) {
  if (std::isnan(x)) return 0x7fff;
  const U down = std::bit_cast<U>(rounded(FE_TOWARDZERO, [&] { return static_cast<float>(x); })) & 0xffff0000;
  const U up = down + 0x10000;
  const double low = as_float(down),
               high = (up & 0x7fffffff) == 0x7f800000 ? std::copysign(0x1p128, x) : as_float(up);
  if (std::isinf(low)) return down >> 16;
  const double to_low = std::fabs(x - low), to_high = std::fabs(high - x);
  return (to_low < to_high || (to_low == to_high && (down >> 16 & 1) == 0) ? down : up) >> 16;
}

U float_result(int op, U a, U b, U c) {
  const volatile float x = as_float(a), y = as_float(b), z = as_float(c);
  const auto bits = [](float f) { return std::bit_cast<U>(f); };
  const auto flushed = [](float f) {
    return std::fpclassify(f) == FP_SUBNORMAL ? std::copysign(0.0f, f) : f;
  };
  const auto to_integer = [&](double v, double low, double high) -> double {
    return std::isnan(v) ? 0 : std::clamp(v, low, high);
  };
  switch (op) {
    case 0:
      return bits(x + y);
    case 1:
      return bits(rounded(FE_TOWARDZERO, [&] { return x + y; }));
    case 2:
      return bits(rounded(FE_DOWNWARD, [&] { return x - y; }));
    case 3:
      return bits(rounded(FE_UPWARD, [&] { return x * y; }));
    case 4:
      return bits(std::fma(x, y, z));
    case 5:
      return bits(rounded(FE_TOWARDZERO, [&] { return std::fma(x, y, z); }));
    case 6:
      return bits(rounded(FE_DOWNWARD, [&] { return std::fma(x, y, z); }));
    case 7:
      return bits(x / y);
    case 8:
      return bits(std::sqrt(x));
    case 9:
      return bits(std::isnan(x) ? y : std::isnan(y) ? x : x == y ? (std::signbit(x) ? x : y) : x < y ? x : y);
    case 10:
      return bits(std::isnan(x) ? y : std::isnan(y) ? x : x == y ? (std::signbit(x) ? y : x) : x > y ? x : y);
    case 11:
      return bits(std::isnan(x) || std::isnan(y) ? NAN : x == y ? (std::signbit(x) ? y : x) : x > y ? x : y);
    case 12:
      return bits(flushed(flushed(x) + flushed(y)));
    case 13:
      return bits(x + y > 0 ? std::min(x + y, 1.0f) : 0.0f);  // NaN and -0 give +0
    case 14:
      return static_cast<U>(static_cast<S>(to_integer(std::trunc(x), INT32_MIN, INT32_MAX)));
    case 15:
      return static_cast<U>(static_cast<S>(to_integer(std::nearbyint(x), INT32_MIN, INT32_MAX)));
    case 16:
      return static_cast<U>(to_integer(std::floor(x), 0, UINT32_MAX));
    case 17:
      return bits(std::ceil(x));
    case 18:
      return bits(static_cast<float>(static_cast<S>(a)));
    case 19:
      return bits(static_cast<float>(a));
    case 20:
      return bits(rounded(FE_TOWARDZERO, [&] {
        const volatile double v = a;
        return static_cast<float>(v);
      }));
    case 21:
      return std::isnan(x) ? 0x7fff : half_bits(x);
    case 22:
      return bfloat_bits(x);
    case 23:
      return bfloat_bits(x) << 16 | bfloat_bits(y);
    case 24: {
      if (std::isnan(x)) return bits(NAN);
      if (std::isinf(x)) return a;
      return ((a & 0x7fffffff) + 0x1000) / 0x2000 * 0x2000 | (a & 0x80000000);
    }
    case 25:
      return bits(half_value(a >> 16));
    case 26:
      return std::isnan(x) || std::isnan(y) || x == y;
    case 27:
      return !std::isnan(x) && !std::isnan(y) && x != y;
    case 28:
      return std::isnan(x) || std::isnan(y) || x < y;
    case 29:
      return std::isnan(x) || std::isnan(y);
    case 30:
      return (a & 0x80000000) | (b & 0x7fffffff);
    default:
      return 0;
  }
}

TEST(Opcodes, FloatsFollowTheIsa) {
  set(Settings{});
  const int n = 6000;
  const auto a = patterns(n, 4), b = patterns(n, 5), c = patterns(n, 6);
  DeviceArray<U> da(a), db(b), dc(c), out(static_cast<size_t>(n) * float_opcodes);
  run_float_opcodes(da.get(), db.get(), dc.get(), out.get(), n);
  ASSERT_EQ(cudaGetLastError(), cudaSuccess) << last_fault();
  const auto got = out.host();
  const auto same = [](U x, U y) { return x == y || (std::isnan(as_float(x)) && std::isnan(as_float(y))); };
  for (int i = 0; i < n; ++i) {
    const U* g = &got[static_cast<size_t>(i) * float_opcodes];
    for (int op = 0; op <= 30; ++op) {
      const U want = float_result(op, a[i], b[i], c[i]);
      ASSERT_TRUE(same(g[op], want)) << "opcode " << op << std::hex << " of " << a[i] << " " << b[i] << " "
                                     << c[i] << ": " << g[op] << ", not " << want;
    }
    for (int h = 0; h < 32;
         h += 16) {  // products of halves are exact in long double, so is the sum but for its far end
      const auto half = [&](U w) { return static_cast<long double>(half_value(w >> h)); };
      const long double sum = half(a[i]) * half(b[i]) + half(c[i]);
      const U want = std::isnan(sum) ? 0x7fff : std::bit_cast<uint16_t>(static_cast<_Float16>(sum));
      ASSERT_EQ(g[31] >> h & 0xffff, want) << std::hex << a[i] << " " << b[i] << " " << c[i];
      const auto wide = [&](U w) { return static_cast<double>(as_float((w >> h & 0xffff) << 16)); };
      const double product = wide(a[i]) * wide(b[i]), total = product + wide(c[i]);
      if (std::isfinite(total) && std::fabs(total) > 0x1p-100 && total - product == wide(c[i])) {
        ASSERT_EQ(g[32] >> h & 0xffff, bfloat_bits(total)) << std::hex << a[i] << " " << b[i] << " " << c[i];
      }
    }
    const double power = std::exp2(static_cast<double>(as_float(a[i])));
    if (power > 0x1p-126 && power < 0x1p127) {
      ASSERT_NEAR(as_float(g[33]), power, power * 0x1p-22);  // the ISA's bound
    }
  }
}

}  // namespace
}  // namespace ft::sim::test
