// Element types, and the one place where a run-time type becomes a template argument.
//
// float32 is the compute type of training; float64 is the same kernels compiled once more, for gradient
// certificates. bfloat16 and float16 are storage for frozen weights, widened before arithmetic, and on CUDA
// types of activations.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/core/check.h"

namespace ft {

enum class DType : uint8_t { f32, f64, bf16, f16, i32, i64, u8 };

/// Bytes of one element.
constexpr size_t size_of(DType t) {
  switch (t) {
    case DType::f64:
    case DType::i64:
      return 8;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::bf16:
    case DType::f16:
      return 2;
    case DType::u8:
      return 1;
  }
  return 0;
}

/// Hugging Face's spelling, as `torch_dtype` and `model.dtype` have it: "float32", "bfloat16", …
std::string_view dtype_name(DType t);

struct BF16 {
  uint16_t bits;
};
struct F16 {
  uint16_t bits;
};

inline float to_float(float v) {
  return v;
}
inline float to_float(BF16 v) {
  return std::bit_cast<float>(uint32_t{v.bits} << 16);
}
float to_float(F16 v);

/// Round to nearest, ties to even; NaN stays NaN.
BF16 to_bf16(float v);
F16 to_f16(float v);

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<BF16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<F16> {
  static constexpr DType value = DType::f16;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::u8;
};
template <class T>
constexpr DType dtype_of = DTypeOf<T>::value;

/// What belongs to activations of type T but is kept wider: trained parameters and their gradients,
/// statistics, scalars. 16-bit activations go with float32; float32 and float64 with themselves.
template <class T>
using Wide = std::conditional_t<sizeof(T) == 2, float, T>;
constexpr DType wide_of(DType t) {
  return size_of(t) == 2 ? DType::f32 : t;
}

/// Types of activations that a backend computes in.
template <class... T>
struct ComputeTypes {};

/// Calls f.template operator()<T>() with the type T of the list that is `t`.
template <class... T, class F>
void dispatch_compute(ComputeTypes<T...>, DType t, F&& f) {
  const bool found = (... || (t == dtype_of<T> && (f.template operator()<T>(), true)));
  if (!found) fail("[dispatch] this device does not compute in {}", dtype_name(t));
}
/// The same for the CPU's types: float32 and float64.
template <class F>
void dispatch_compute(DType t, F&& f) {
  dispatch_compute(ComputeTypes<float, double>(), t, std::forward<F>(f));
}

}  // namespace ft
