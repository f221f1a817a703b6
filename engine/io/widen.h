// Arrays of stored numbers, widened to float32: exact for float16 and bfloat16, rounded to nearest for
// float64.
//
// The source has no alignment (a file puts tensors where it likes), and every loop is free of branches, so
// the compiler turns it into vector code: these run at the speed of memory.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace ft {

/// float16 bits to float32, NaN payloads and subnormals included, without a branch or a call (dtype.h's
/// to_float is the plain definition; a test compares all 65536).
inline float half_to_float(uint16_t half) {
  const uint32_t sign = (half & 0x8000u) << 16;
  const uint32_t magnitude = half & 0x7fffu;
  const uint32_t normal = (magnitude << 13) + (112u << 23);  // the exponent's bias goes from 15 to 127
  const uint32_t special = normal | 0x7f800000u;             // infinity, NaN: all exponent bits
  // A subnormal is m · 2^-24, which is the spacing of floats just above 0.5: 0.5 + m · 2^-24 has m as its
  // last bits.
  const uint32_t subnormal = std::bit_cast<uint32_t>(std::bit_cast<float>(0x3f000000u | magnitude) - 0.5f);
  uint32_t bits = magnitude < 0x0400u ? subnormal : normal;
  bits = magnitude >= 0x7c00u ? special : bits;
  return std::bit_cast<float>(bits | sign);
}

/// `count` numbers from `source` into out[count].
void widen_f16(const std::byte* source, size_t count, float* out);
void widen_bf16(const std::byte* source, size_t count, float* out);
void widen_f32(const std::byte* source, size_t count, float* out);
void widen_f64(const std::byte* source, size_t count, float* out);

}  // namespace ft
