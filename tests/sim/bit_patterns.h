// Operands for tests of single opcodes: random bits and the corners of each format; and a rounding mode of
// the host.
#pragma once

#include <bit>
#include <cfenv>
#include <cstdint>
#include <random>
#include <vector>

namespace ft::sim::test {

using U = uint32_t;

inline std::vector<U> patterns(size_t n, uint32_t seed) {
  static const U corners[] = {0,          1,          0x80000000, 0x7fffffff, 0xffffffff,
                              0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000,
                              0x00000001, 0x807fffff, 0x4f000000, 0xcf000000, 0x477fe000,
                              0x477ff000, 0x33000000, 0x3f000000, 0x40200000, 0x387fffff};
  std::mt19937 engine(seed);
  std::vector<U> x(n);
  for (U& v : x) {
    const U r = static_cast<U>(engine());
    switch (engine() % 4) {
      case 0:
        v = corners[r % std::size(corners)];
        break;
      case 1:
        v = (r & 0x807fffff) | (117 + engine() % 20) << 23;
        break;  // floats of moderate size
      default:
        v = r;
    }
  }
  return x;
}

inline float as_float(U u) {
  return std::bit_cast<float>(u);
}

template <class F>
float rounded(int mode, F f) {
  std::fesetround(mode);
  const volatile float result = f();
  std::fesetround(FE_TONEAREST);
  return result;
}

}  // namespace ft::sim::test
