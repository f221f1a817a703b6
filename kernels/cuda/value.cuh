// Elements in device code: memory holds T (float, BF16 or F16), arithmetic is float.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "engine/core/dtype.h"

namespace ft {

__device__ __forceinline__ float value(float v) {
  return v;
}
__device__ __forceinline__ float value(BF16 v) {
  return __uint_as_float(static_cast<uint32_t>(v.bits) << 16);
}
__device__ __forceinline__ float value(F16 v) {
  return __half2float(__ushort_as_half(v.bits));
}

/// v rounded to T, to nearest and ties to even; beyond the range of F16, infinite.
template <class T>
__device__ __forceinline__ T rounded(float v);
template <>
__device__ __forceinline__ float rounded<float>(float v) {
  return v;
}
template <>
__device__ __forceinline__ BF16 rounded<BF16>(float v) {
  return BF16{__bfloat16_as_ushort(__float2bfloat16_rn(v))};
}
template <>
__device__ __forceinline__ F16 rounded<F16>(float v) {
  return F16{__half_as_ushort(__float2half_rn(v))};
}

/// As many neighbouring elements as 16 bytes hold: p must be 16-byte aligned to be read or written as one.
template <class T>
struct alignas(16) Pack {
  static constexpr int kCount = 16 / sizeof(T);
  T v[kCount];
};

}  // namespace ft
