#include "engine/io/widen.h"

#include <cstring>

namespace ft {
namespace {

template <class T>
T load(const std::byte* source, size_t i) {
  T value;
  std::memcpy(&value, source + i * sizeof(T), sizeof(T));
  return value;
}

}  // namespace

void widen_f16(const std::byte* source, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) out[i] = half_to_float(load<uint16_t>(source, i));
}

void widen_bf16(const std::byte* source, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) out[i] = std::bit_cast<float>(uint32_t{load<uint16_t>(source, i)} << 16);
}

void widen_f32(const std::byte* source, size_t count, float* out) {
  if (count > 0) std::memcpy(out, source, count * sizeof(float));
}

void widen_f64(const std::byte* source, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) out[i] = static_cast<float>(load<double>(source, i));
}

}  // namespace ft
