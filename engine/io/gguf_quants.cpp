#include "engine/io/gguf_quants.h"

#include <cstring>

#include "engine/io/widen.h"

namespace ft {
namespace {

constexpr size_t kBlock = 32;  // elements of a block of the plain types
constexpr size_t kSuperBlock =
    256;  // elements of a block of the K types: 8 or 16 groups with small own scales

uint8_t byte_at(const std::byte* source, size_t i) {
  return std::to_integer<uint8_t>(source[i]);
}

uint32_t load_u32(const std::byte* source) {
  uint32_t value;
  std::memcpy(&value, source, sizeof(value));
  return value;
}

float load_half(const std::byte* source) {
  uint16_t bits;
  std::memcpy(&bits, source, sizeof(bits));
  return half_to_float(bits);
}

// The 4-bit types hold elements i and i + 16 of a block in the low and the high half of byte i; the 5-bit
// types add a word whose bit i is the fifth bit of element i.

/// f16 d; 16 bytes of codes.  value = (code - 8) · d
void dequantize_q4_0(const std::byte* source, size_t blocks, float* out) {
  for (size_t b = 0; b < blocks; ++b, source += 18, out += kBlock) {
    const float d = load_half(source);
    for (size_t i = 0; i < 16; ++i) {
      const int codes = byte_at(source, 2 + i);
      out[i] = static_cast<float>((codes & 15) - 8) * d;
      out[i + 16] = static_cast<float>((codes >> 4) - 8) * d;
    }
  }
}

/// f16 d, f16 m; 16 bytes of codes.  value = code · d + m
void dequantize_q4_1(const std::byte* source, size_t blocks, float* out) {
  for (size_t b = 0; b < blocks; ++b, source += 20, out += kBlock) {
    const float d = load_half(source), m = load_half(source + 2);
    for (size_t i = 0; i < 16; ++i) {
      const int codes = byte_at(source, 4 + i);
      out[i] = static_cast<float>(codes & 15) * d + m;
      out[i + 16] = static_cast<float>(codes >> 4) * d + m;
    }
  }
}

/// f16 d; u32 fifth bits; 16 bytes of codes.  value = (code - 16) · d
void dequantize_q5_0(const std::byte* source, size_t blocks, float* out) {
  for (size_t b = 0; b < blocks; ++b, source += 22, out += kBlock) {
    const float d = load_half(source);
    const uint32_t fifth = load_u32(source + 2);
    for (size_t i = 0; i < 16; ++i) {
      const uint32_t codes = byte_at(source, 6 + i);
      const uint32_t low = (codes & 15) | ((fifth >> i & 1) << 4);
      const uint32_t high = (codes >> 4) | ((fifth >> (i + 16) & 1) << 4);
      out[i] = static_cast<float>(static_cast<int>(low) - 16) * d;
      out[i + 16] = static_cast<float>(static_cast<int>(high) - 16) * d;
    }
  }
}

/// f16 d, f16 m; u32 fifth bits; 16 bytes of codes.  value = code · d + m
void dequantize_q5_1(const std::byte* source, size_t blocks, float* out) {
  for (size_t b = 0; b < blocks; ++b, source += 24, out += kBlock) {
    const float d = load_half(source), m = load_half(source + 2);
    const uint32_t fifth = load_u32(source + 4);
    for (size_t i = 0; i < 16; ++i) {
      const uint32_t codes = byte_at(source, 8 + i);
      const uint32_t low = (codes & 15) | ((fifth >> i & 1) << 4);
      const uint32_t high = (codes >> 4) | ((fifth >> (i + 16) & 1) << 4);
      out[i] = static_cast<float>(static_cast<int>(low)) * d + m;
      out[i + 16] = static_cast<float>(static_cast<int>(high)) * d + m;
    }
  }
}

/// f16 d; 32 signed bytes.  value = code · d
void dequantize_q8_0(const std::byte* source, size_t blocks, float* out) {
  for (size_t b = 0; b < blocks; ++b, source += 34, out += kBlock) {
    const float d = load_half(source);
    for (size_t i = 0; i < kBlock; ++i) {
      out[i] = static_cast<float>(static_cast<int8_t>(byte_at(source, 2 + i))) * d;
    }
  }
}

/// The 6-bit scale and minimum of one group of 32 in a Q4_K or Q5_K block, from their 12 packed bytes: groups
/// 0–3 have theirs in the low six bits of bytes g and g + 4; of groups 4–7 the low four bits are in byte g +
/// 4 and the high two on top of those other bytes.
struct ScaleMin {
  int scale, minimum;
};
ScaleMin unpack_scale_min(const std::byte* packed, size_t g) {
  if (g < 4) return {byte_at(packed, g) & 63, byte_at(packed, g + 4) & 63};
  const int low = byte_at(packed, g + 4);
  return {(low & 15) | (byte_at(packed, g - 4) >> 6) << 4, (low >> 4) | (byte_at(packed, g) >> 6) << 4};
}

/// f16 d, f16 dmin; 12 bytes of scales; 128 bytes of codes, 32 bytes for two groups: low halves, high halves.
/// value = (d · scale) · code - (dmin · minimum)
void dequantize_q4_k(const std::byte* source, size_t blocks, float* out) {
  for (size_t b = 0; b < blocks; ++b, source += 144, out += kSuperBlock) {
    const float d = load_half(source), dmin = load_half(source + 2);
    for (size_t g = 0; g < 8; ++g) {
      const auto [scale, minimum] = unpack_scale_min(source + 4, g);
      const float group_d = d * static_cast<float>(scale), group_min = dmin * static_cast<float>(minimum);
      const std::byte* codes = source + 16 + g / 2 * 32;
      const int shift = g % 2 ? 4 : 0;
      for (size_t i = 0; i < 32; ++i) {
        out[g * 32 + i] = group_d * static_cast<float>(byte_at(codes, i) >> shift & 15) - group_min;
      }
    }
  }
}

/// f16 d, f16 dmin; 12 bytes of scales; 32 bytes whose bit g is the fifth bit in group g; 128 bytes as Q4_K.
void dequantize_q5_k(const std::byte* source, size_t blocks, float* out) {
  for (size_t b = 0; b < blocks; ++b, source += 176, out += kSuperBlock) {
    const float d = load_half(source), dmin = load_half(source + 2);
    const std::byte* fifth = source + 16;
    for (size_t g = 0; g < 8; ++g) {
      const auto [scale, minimum] = unpack_scale_min(source + 4, g);
      const float group_d = d * static_cast<float>(scale), group_min = dmin * static_cast<float>(minimum);
      const std::byte* codes = source + 48 + g / 2 * 32;
      const int shift = g % 2 ? 4 : 0;
      for (size_t i = 0; i < 32; ++i) {
        const int code = (byte_at(codes, i) >> shift & 15) | (byte_at(fifth, i) >> g & 1) << 4;
        out[g * 32 + i] = group_d * static_cast<float>(code) - group_min;
      }
    }
  }
}

/// 128 bytes of low four bits; 64 bytes of high two bits; 16 signed scales, one for 16 elements; f16 d.
/// Each half of 128 elements is four runs of 32: the run's low bits are in bytes (run % 2) · 32 + i, low
/// halves for runs 0 and 1, high halves for 2 and 3; its high bits are bits 2 · run, 2 · run + 1 of byte i.
/// value = (d · scale) · (code - 32)
void dequantize_q6_k(const std::byte* source, size_t blocks, float* out) {
  for (size_t b = 0; b < blocks; ++b, source += 210, out += kSuperBlock) {
    const float d = load_half(source + 208);
    for (size_t group = 0; group < 16; ++group) {
      const size_t half = group / 8, run = group / 2 % 4, first = group % 2 * 16;
      const std::byte* low = source + half * 64 + run % 2 * 32 + first;
      const std::byte* high = source + 128 + half * 32 + first;
      const int low_shift = run < 2 ? 0 : 4;
      const int high_shift = 2 * static_cast<int>(run);
      const float group_d = d * static_cast<float>(static_cast<int8_t>(byte_at(source, 192 + group)));
      for (size_t i = 0; i < 16; ++i) {
        const int code = (byte_at(low, i) >> low_shift & 15) | (byte_at(high, i) >> high_shift & 3) << 4;
        out[group * 16 + i] = group_d * static_cast<float>(code - 32);
      }
    }
  }
}

constexpr GgmlType kTypes[] = {
    {0, "F32", 1, 4, widen_f32},
    {1, "F16", 1, 2, widen_f16},
    {2, "Q4_0", 32, 18, dequantize_q4_0},
    {3, "Q4_1", 32, 20, dequantize_q4_1},
    {6, "Q5_0", 32, 22, dequantize_q5_0},
    {7, "Q5_1", 32, 24, dequantize_q5_1},
    {8, "Q8_0", 32, 34, dequantize_q8_0},
    {10, "Q2_K", 256, 84, nullptr},
    {11, "Q3_K", 256, 110, nullptr},
    {12, "Q4_K", 256, 144, dequantize_q4_k},
    {13, "Q5_K", 256, 176, dequantize_q5_k},
    {14, "Q6_K", 256, 210, dequantize_q6_k},
    {16, "IQ2_XXS", 256, 66, nullptr},
    {17, "IQ2_XS", 256, 74, nullptr},
    {18, "IQ3_XXS", 256, 98, nullptr},
    {19, "IQ1_S", 256, 50, nullptr},
    {20, "IQ4_NL", 32, 18, nullptr},
    {21, "IQ3_S", 256, 110, nullptr},
    {22, "IQ2_S", 256, 82, nullptr},
    {23, "IQ4_XS", 256, 136, nullptr},
    {24, "I8", 1, 1, nullptr},
    {25, "I16", 1, 2, nullptr},
    {26, "I32", 1, 4, nullptr},
    {27, "I64", 1, 8, nullptr},
    {28, "F64", 1, 8, nullptr},
    {29, "IQ1_M", 256, 56, nullptr},
    {30, "BF16", 1, 2, widen_bf16},
    {34, "TQ1_0", 256, 54, nullptr},
    {35, "TQ2_0", 256, 66, nullptr},
    {39, "MXFP4", 32, 17, nullptr},
    {40, "NVFP4", 64, 36, nullptr},
};

}  // namespace

const GgmlType* find_ggml_type(uint32_t id) {
  for (const GgmlType& type : kTypes) {
    if (type.id == id) return &type;
  }
  return nullptr;
}

std::string_view readable_ggml_types() {
  return "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K";
}

}  // namespace ft
