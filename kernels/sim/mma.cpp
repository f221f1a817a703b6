#include "kernels/sim/mma.h"

#if defined(__FMA__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace ft::sim {
namespace {

constexpr int rows = 16, columns = 8;

// Four doubles of one vector register.
using Quad = double __attribute__((vector_size(32)));

inline Quad multiply_add(Quad a, Quad b, Quad c) {
#if defined(__FMA__)
  return _mm256_fmadd_pd(a, b, c);  // products are exact, so one rounding or two are the same
#else
  return a * b + c;
#endif
}

// Sum in double, in order of k, rounded to float once. Double keeps 53 bits where the products have at most
// 22, so the sum is exact unless exponents differ by more than about 30.
void exact(int k, const float* a, const float* b, const float* c, float* d) {
  Quad wide_b[16][2];
  for (int i = 0; i < k; ++i) {
    for (int n = 0; n < columns; ++n) wide_b[i][n / 4][n % 4] = b[n * k + i];
  }
  constexpr int at_once = 4;
  for (int row = 0; row < rows; row += at_once) {
    Quad sum[at_once][2];
    for (int r = 0; r < at_once; ++r) {
      for (int n = 0; n < columns; ++n) sum[r][n / 4][n % 4] = c[(row + r) * columns + n];
    }
    for (int i = 0; i < k; ++i) {
      for (int r = 0; r < at_once; ++r) {
        const double x = a[(row + r) * k + i];
        const Quad spread{x, x, x, x};
        sum[r][0] = multiply_add(spread, wide_b[i][0], sum[r][0]);
        sum[r][1] = multiply_add(spread, wide_b[i][1], sum[r][1]);
      }
    }
    for (int r = 0; r < at_once; ++r) {
      for (int n = 0; n < columns; ++n) d[(row + r) * columns + n] = static_cast<float>(sum[r][n / 4][n % 4]);
    }
  }
}

int exponent_of(double x) {
  return static_cast<int>(std::bit_cast<uint64_t>(x) >> 52 & 0x7ff) - 1023;
}

// Addends are aligned to the largest exponent, cut off below 23 + extra bits, summed exactly and the result
// cut off to float32.
float truncating_sum(const double* addends, int count, int extra) {
  int largest = -1023;
  for (int i = 0; i < count; ++i) {
    if (!std::isfinite(addends[i])) {
      double sum = 0;
      for (int j = 0; j < count; ++j) sum += addends[j];
      return static_cast<float>(sum);
    }
    if (addends[i] != 0) largest = std::max(largest, exponent_of(addends[i]));
  }
  if (largest == -1023) return 0.0f;
  const double unit = std::ldexp(1.0, largest - 23 - extra);
  int64_t sum = 0;
  for (int i = 0; i < count; ++i) sum += static_cast<int64_t>(addends[i] / unit);  // towards zero
  if (sum == 0) return 0.0f;
  const int bits = 64 - std::countl_zero(static_cast<uint64_t>(std::abs(sum)));
  if (bits > 24) sum = (sum < 0 ? -1 : 1) * (std::abs(sum) >> (bits - 24) << (bits - 24));
  const double result = static_cast<double>(sum) * unit;
  const float f = static_cast<float>(result);  // exact but for subnormals and overflow
  return std::fabs(static_cast<double>(f)) > std::fabs(result) && std::isfinite(f) ? std::nextafter(f, 0.0f)
                                                                                   : f;
}

void truncating(int k, int step, int extra, const float* a, const float* b, const float* c, float* d) {
  double addends[17];
  for (int row = 0; row < rows; ++row) {
    for (int n = 0; n < columns; ++n) {
      float sum = c[row * columns + n];
      for (int first = 0; first < k; first += step) {
        int count = 0;
        addends[count++] = sum;
        for (int i = first; i < std::min(k, first + step); ++i) {
          addends[count++] = static_cast<double>(a[row * k + i]) * static_cast<double>(b[n * k + i]);
        }
        sum = truncating_sum(addends, count, extra);
      }
      d[row * columns + n] = sum;
    }
  }
}

}  // namespace

void mma_tile(Rounding rounding, int k, const float* a, const float* b, const float* c, float* d) {
  switch (rounding) {
    case Rounding::exact:
      return exact(k, a, b, c, d);
    case Rounding::a100:
      return truncating(k, 8, 1, a, b, c, d);
    case Rounding::h100:
      return truncating(k, 16, 2, a, b, c, d);
  }
}

}  // namespace ft::sim
