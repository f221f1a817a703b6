// Single opcodes against the words of the PTX ISA, written out in another way than the interpreter does:
// 128-bit integers, bit by bit, the processor's own rounding modes. Operands are random bits and the corners
// of each format.
#include <gtest/gtest.h>

#include <bit>
#include <cfenv>
#include <cmath>
#include <random>

#include "kernels/sim/sim.h"
#include "tests/sim/bit_patterns.h"
#include "tests/sim/device_array.h"
#include "tests/sim/opcodes.h"

namespace ft::sim::test {
namespace {

using S = int32_t;

U bit_field(U a, U position, U length, bool is_signed) {
  U result = 0;
  U sign = 0;
  if (is_signed && length > 0) sign = a >> std::min<U>(position + length - 1, 31) & 1;
  for (U i = 0; i < 32; ++i) {
    const U bit = i < length && position + i < 32    ? a >> (position + i) & 1
                  : i < length && position + i >= 32 ? sign
                                                     : sign;
    result |= bit << i;
  }
  return result;
}

U permuted(U a, U b, U selector) {
  U result = 0;
  for (int i = 0; i < 4; ++i) {
    const U s = selector >> (4 * i) & 15;
    U byte = ((s & 7) < 4 ? a >> (8 * (s & 3)) : b >> (8 * (s & 3))) & 255;
    if (s & 8) byte = byte >> 7 ? 255 : 0;
    result |= byte << (8 * i);
  }
  return result;
}

U integer_result(int op, U a, U b, U c) {
  const S sa = static_cast<S>(a), sb = static_cast<S>(b);
  const uint64_t pair = uint64_t{b} << 32 | a;
  switch (op) {
    case 0:
      return static_cast<U>(static_cast<S>(std::clamp<int64_t>(int64_t{sa} + sb, INT32_MIN, INT32_MAX)));
    case 1:
      return static_cast<U>((int64_t{sa} * sb) >> 32);
    case 2:
      return static_cast<U>((uint64_t{a} * b) >> 32);
    case 3:
      return a * b + c;
    case 4:
      return static_cast<U>(int64_t{sa} / static_cast<S>(b | 1));
    case 5:
      return static_cast<U>(int64_t{sa} % static_cast<S>(b | 1));
    case 6:
      return a / (b | 1);
    case 7:
      return static_cast<U>(std::min(sa, sb));
    case 8:
      return std::max(a, b);
    case 9:
      return static_cast<U>(std::abs(int64_t{sa}));
    case 10:
      return c + (a > b ? a - b : b - a);
    case 11:
      return static_cast<U>((c & 63) > 31 ? 0 : uint64_t{a} << (c & 63));
    case 12:
      return static_cast<U>(uint64_t{a} >> (c & 63));
    case 13:
      return static_cast<U>(int64_t{sa} >> (c & 63));
    case 14:
      return static_cast<U>(pair << (c & 31) >> 32);
    case 15:
      return static_cast<U>(pair >> std::min<U>(c & 63, 32));
    case 16:
      return permuted(a, b, c);
    case 17:
      return bit_field(a, b & 63, c & 63, false);
    case 18:
      return bit_field(a, b & 63, c & 63, true);
    case 19: {
      U result = b;
      for (U i = 0, p = c & 63; i < (c >> 8 & 63) && p + i < 32; ++i)
        result = (result & ~(1u << (p + i))) | (a >> i & 1) << (p + i);
      return result;
    }
    case 20:
      return static_cast<U>(std::popcount(a));
    case 21:
      return static_cast<U>(std::countl_zero(a));
    case 22: {
      U result = 0;
      for (int i = 0; i < 32; ++i) result |= (a >> i & 1) << (31 - i);
      return result;
    }
    case 23:
      return a == 0 ? ~0u : 31 - static_cast<U>(std::countl_zero(a));
    case 24: {
      const U x = sa < 0 ? ~a : a;
      return x == 0 ? ~0u : 31 - static_cast<U>(std::countl_zero(x));
    }
    case 26:
    case 27: {
      int64_t sum = 0;
      for (int i = 0; i < 32; i += 8) {
        sum += op == 26 ? static_cast<int8_t>(a >> i) * static_cast<int8_t>(b >> i)
                        : int{static_cast<uint8_t>(a >> i)} * static_cast<uint8_t>(b >> i);
      }
      return c + static_cast<U>(sum);
    }
    case 28:
      return static_cast<S>(c) >= 0 ? a : b;
    default:
      return sa < sb ? 1 : 2;
  }
}

// The table itself says what lop3 is: bit i of it is the result for (a, b, c) = bits 2, 1, 0 of i.
U looked_up(U table, U a, U b, U c) {
  U result = 0;
  for (int i = 0; i < 32; ++i)
    result |= (table >> ((a >> i & 1) * 4 + (b >> i & 1) * 2 + (c >> i & 1)) & 1) << i;
  return result;
}

TEST(Opcodes, IntegersFollowTheIsa) {
  set(Settings{});
  const int n = 4000;
  const auto a = patterns(n, 1), b = patterns(n, 2), c = patterns(n, 3);
  DeviceArray<U> da(a), db(b), dc(c), out(static_cast<size_t>(n) * integer_opcodes);
  run_integer_opcodes(da.get(), db.get(), dc.get(), out.get(), n);
  ASSERT_EQ(cudaGetLastError(), cudaSuccess) << last_fault();
  const auto got = out.host();
  for (int i = 0; i < n; ++i) {
    for (int op = 0; op < integer_opcodes; ++op) {
      const U want = op == 25 ? looked_up(0xE2, a[i], b[i], c[i]) : integer_result(op, a[i], b[i], c[i]);
      ASSERT_EQ(got[i * integer_opcodes + op], want)
          << "opcode " << op << std::hex << " of " << a[i] << " " << b[i] << " " << c[i];
    }
  }
}

TEST(Opcodes, WideIntegersAndDoublesFollowTheIsa) {
  set(Settings{});
  const int n = 3000;
  const auto a0 = patterns(2 * n, 7), b0 = patterns(2 * n, 8);
  std::vector<uint64_t> a(n), b(n);
  for (int i = 0; i < n; ++i) {
    a[i] = uint64_t{a0[2 * i]} << 32 | a0[2 * i + 1];
    b[i] = uint64_t{b0[2 * i]} << 32 | b0[2 * i + 1];
    if (i % 3 == 0) a[i] = std::bit_cast<uint64_t>(static_cast<double>(as_float(a0[2 * i])) * 1.000000123);
  }
  DeviceArray<uint64_t> da(a), db(b), out(static_cast<size_t>(n) * wide_opcodes);
  run_wide_opcodes(da.get(), db.get(), out.get(), n);
  ASSERT_EQ(cudaGetLastError(), cudaSuccess) << last_fault();
  const auto got = out.host();
  for (int i = 0; i < n; ++i) {
    const auto sa = static_cast<int64_t>(a[i]), sb = static_cast<int64_t>(b[i]);
    const double x = std::bit_cast<double>(a[i]), y = std::bit_cast<double>(b[i]);
    const U position = static_cast<U>(b[i]) & 63, length = static_cast<U>(b[i] >> 8) & 63;
    uint64_t field = 0;
    for (U k = 0; k < 64; ++k) {
      const U top = std::min<U>(position + length - 1, 63);
      const U at = k < length ? std::min(position + k, top) : top;
      if (length > 0) field |= (a[i] >> at & 1) << k;
    }
    const volatile double vx = x;
    const double down = static_cast<double>(rounded(FE_DOWNWARD, [&] { return static_cast<float>(vx); }));
    const double truncated = std::trunc(x);
    const uint64_t want[wide_opcodes] = {
        static_cast<uint64_t>((static_cast<unsigned __int128>(a[i]) * b[i]) >> 64),
        static_cast<uint64_t>((static_cast<__int128>(sa) * sb) >> 64),
        static_cast<uint64_t>(int64_t{static_cast<S>(a[i])} * static_cast<S>(b[i])),
        uint64_t{static_cast<U>(a[i])} * static_cast<U>(b[i]) + b[i],
        static_cast<uint64_t>(static_cast<__int128>(sa) / (sb | 1)),
        static_cast<uint64_t>(sa >> std::min<U>(static_cast<U>(b[i]) & 127, 63)),
        field,
        std::bit_cast<uint64_t>(static_cast<double>(sa)),
        std::isnan(x)          ? uint64_t{1} << 63
        : truncated >= 0x1p63  ? static_cast<uint64_t>(INT64_MAX)
        : truncated <= -0x1p63 ? uint64_t{1} << 63
                               : static_cast<uint64_t>(static_cast<int64_t>(truncated)),
        std::bit_cast<uint64_t>(std::fma(x, y, x)),
        std::bit_cast<uint64_t>(down),
        a[i] << 32 | a[i] >> 32,
    };
    for (int op = 0; op < wide_opcodes; ++op) {
      const uint64_t g = got[static_cast<size_t>(i) * wide_opcodes + op];
      const bool both_nan = op >= 9 && op <= 10 && std::isnan(std::bit_cast<double>(g)) &&
                            std::isnan(std::bit_cast<double>(want[op]));
      ASSERT_TRUE(g == want[op] || both_nan) << "opcode " << op << std::hex << " of " << a[i] << " " << b[i]
                                             << ": " << g << ", not " << want[op];
    }
  }
}

}  // namespace
}  // namespace ft::sim::test
