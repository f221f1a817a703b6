// Conversions between float formats, one value at a time, branch-light so that loops over lanes vectorise.
// Round to nearest even unless the name says otherwise; a NaN becomes the one canonical NaN of the target
// format.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace ft::sim {

enum class RoundMode : uint8_t { nearest, zero, down, up };

inline float bf16_to_float(uint16_t h) {
  return std::bit_cast<float>(static_cast<uint32_t>(h) << 16);
}

inline uint16_t float_to_bf16(float f) {
  const uint32_t u = std::bit_cast<uint32_t>(f);
  const uint32_t rounded = (u + 0x7fffu + (u >> 16 & 1)) >> 16;
  return static_cast<uint16_t>((u & 0x7fffffffu) > 0x7f800000u ? 0x7fffu : rounded);
}

inline float half_to_float(uint16_t h) {
  const uint32_t magnitude = (h & 0x7fffu) << 13;
  const float scaled = std::bit_cast<float>(magnitude) * 0x1p112f;  // exact, subnormals included
  uint32_t bits = std::bit_cast<uint32_t>(scaled);
  bits = magnitude >= 0x0f800000u ? magnitude | 0x7f800000u : bits;  // infinity, NaN
  return std::bit_cast<float>(bits | (static_cast<uint32_t>(h & 0x8000u) << 16));
}

inline uint16_t float_to_half(float f) {
  const uint32_t u = std::bit_cast<uint32_t>(f);
  const uint32_t a = u & 0x7fffffffu;
  // Adding 0.5 puts the last bit of a half subnormal, 2^-24, at the last bit of the sum: the addition rounds.
  const uint32_t subnormal = std::bit_cast<uint32_t>(std::bit_cast<float>(a) + 0.5f) - 0x3f000000u;
  const uint32_t normal = (a + 0xfffu + (a >> 13 & 1) - (112u << 23)) >> 13;
  uint32_t r = a < 0x38800000u ? subnormal : normal;
  r = a >= 0x477ff000u ? 0x7c00u : r;
  r = a > 0x7f800000u ? 0x7fffu : r | (u >> 16 & 0x8000u);
  return static_cast<uint16_t>(r);
}

/// a + b rounded to odd: the last bit of the result is set if anything was lost, so that a second rounding to
/// at most 51 bits gives what one rounding of the exact sum would.
inline double add_to_odd(double a, double b) {
  const double s = a + b;
  const double part = s - a;
  const double lost = (a - (s - part)) + (b - part);
  if (!(std::fabs(s) <= 0x1.fffffffffffffp1023) || lost == 0) return s;
  const uint64_t bits = std::bit_cast<uint64_t>(s);
  if (bits & 1) return s;
  return std::bit_cast<double>((lost > 0) == (s > 0) ? bits + 1 : bits - 1);
}

/// To float with the last bit sticky (round to odd); infinities and NaN pass.
inline float to_float_odd(double x) {
  float f = static_cast<float>(x);
  if (!(std::fabs(x) <= 0x1.fffffffffffffp1023) || static_cast<double>(f) == x) return f;
  uint32_t bits = std::bit_cast<uint32_t>(f);
  if (std::fabs(static_cast<double>(f)) > std::fabs(x)) --bits;  // towards zero
  return std::bit_cast<float>(bits | 1);
}

inline float to_float(double x, RoundMode mode) {
  const float f = static_cast<float>(x);
  const double g = static_cast<double>(f);
  if (mode == RoundMode::nearest || g == x || std::isnan(x)) return f;
  const bool step_down = (mode == RoundMode::down || (mode == RoundMode::zero && x > 0)) && g > x;
  const bool step_up = (mode == RoundMode::up || (mode == RoundMode::zero && x < 0)) && g < x;
  if (step_down) return std::nextafter(f, -INFINITY);
  if (step_up) return std::nextafter(f, INFINITY);
  return f;
}

inline double round_to_integral(double x, RoundMode mode) {
  switch (mode) {
    case RoundMode::nearest:
      return std::nearbyint(x);
    case RoundMode::zero:
      return std::trunc(x);
    case RoundMode::down:
      return std::floor(x);
    default:
      return std::ceil(x);
  }
}

inline float flush(float x) {
  return std::fabs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x;
}
inline float saturate(float x) {
  return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f;
}  // NaN gives 0

/// min and max of IEEE 754-2019 minimumNumber: a number beats NaN, -0 is below +0.
template <class T, class U>
inline T minimum(T a, T b) {
  T r = a < b ? a : b;
  r = a == b ? std::bit_cast<T>(static_cast<U>(std::bit_cast<U>(a) | std::bit_cast<U>(b))) : r;
  return b != b ? a : r;
}
template <class T, class U>
inline T maximum(T a, T b) {
  T r = a > b ? a : b;
  r = a == b ? std::bit_cast<T>(static_cast<U>(std::bit_cast<U>(a) & std::bit_cast<U>(b))) : r;
  return b != b ? a : r;
}

/// 2^x to about one unit in 2^-37 before the final rounding: x = n + r, Taylor of 2^r in double.
inline float exp2_rounded(float x) {
  double v = x;
  v = v > 130 ? 130 : v;
  v = v < -160 ? -160 : v;
  const double shifted = v + 0x1.8p52;  // rounds to an integer in the low bits
  const double n = shifted - 0x1.8p52;
  const double r = (v - n) * 0.693147180559945309417;
  double p = 1.0 / 3628800;
  p = p * r + 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  const uint64_t exponent = (std::bit_cast<uint64_t>(shifted) + 1023) << 52;
  const float result = static_cast<float>(p * std::bit_cast<double>(exponent));
  return x != x ? x : result;
}

}  // namespace ft::sim
