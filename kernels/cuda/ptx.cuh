// The instructions that CUDA C++ has no name for: copies from global to shared memory that run beside the
// arithmetic, 8×8 matrices from shared memory to registers, the tensor cores' product, and the exponential
// unit; and stores of several elements. All inline PTX of the kernels is here (PTX ISA 8.0: cp.async,
// ldmatrix, mma.m16n8k16, ex2, st). T is a 16-bit type, BF16 or F16.
//
// Fragments, for lane l of a warp with g = l / 4, t = l % 4; each register holds two neighbouring columns:
//   A [16, 16]  a[0]: row g, columns 2t, 2t + 1      a[1]: row g + 8    a[2], a[3]: the same, columns + 8
//   B [16, 8]   b0:   rows 2t, 2t + 1 of column g    b1:   rows 2t + 8, 2t + 9
//   C [16, 8]   c[0], c[1]: row g, columns 2t, 2t + 1    c[2], c[3]: row g + 8
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

#include "kernels/cuda/value.cuh"

namespace ft::ptx {

__device__ __forceinline__ uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

/// Starts a copy of 16 bytes, both sides 16-byte aligned; writes zeros and reads nothing unless `wanted`.
__device__ __forceinline__ void copy_async_16(void* shared, const void* global, bool wanted) {
  const int bytes = wanted ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(shared_address(shared)), "l"(__cvta_generic_to_global(global)), "r"(bytes)
               : "memory");
}
/// Ends a group of this thread's copies.
__device__ __forceinline__ void copy_async_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
/// Waits until all but the last `kPending` groups of this thread have landed. Other threads see them after
/// the next barrier.
template <int kPending>
__device__ __forceinline__ void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

/// Four 8×8 matrices of 16-bit elements: lane l gives the address of row l % 8 of matrix l / 8 and receives
/// in r[m] the elements 2t, 2t + 1 of row g of matrix m.
template <class T>
__device__ __forceinline__ void load_matrices(uint32_t (&r)[4], const T* row) {
  static_assert(sizeof(T) == 2);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
/// The same, each matrix transposed: rows 2t, 2t + 1 of column g.
template <class T>
__device__ __forceinline__ void load_matrices_transposed(uint32_t (&r)[4], const T* row) {
  static_assert(sizeof(T) == 2);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

/// c += a · b in the tensor cores, a and b of type T.
template <class T>
__device__ __forceinline__ void multiply_add(float (&c)[4], const uint32_t (&a)[4], uint32_t b0,
                                             uint32_t b1) {
  if constexpr (std::is_same_v<T, BF16>)
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  else
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// 2^x within 2 units in the last place; results below 2^-126 are zero.
__device__ __forceinline__ float exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// Two neighbouring elements of a fragment, rounded to T, the first in the low half.
template <class T>
__device__ __forceinline__ uint32_t pack(float low, float high) {
  uint32_t lower, upper;
  if constexpr (std::is_same_v<T, BF16>) {
    const __nv_bfloat162 x = __floats2bfloat162_rn(low, high);
    lower = __bfloat16_as_ushort(x.x), upper = __bfloat16_as_ushort(x.y);
  } else {
    const __half2 x = __floats2half2_rn(low, high);
    lower = __half_as_ushort(x.x), upper = __half_as_ushort(x.y);
  }
  return lower | upper << 16;
}

/// Four neighbours in one store, p aligned to it: left to itself the compiler takes some of these apart.
__device__ __forceinline__ void store_quad(float* p, float a, float b, float c, float d) {
  asm volatile("st.global.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(p)), "f"(a), "f"(b),
               "f"(c), "f"(d)
               : "memory");
}
template <class T>
__device__ __forceinline__ void store_quad(T* p, float a, float b, float c, float d) {
  asm volatile("st.global.v2.b32 [%0], {%1, %2};" ::"l"(__cvta_generic_to_global(p)), "r"(pack<T>(a, b)),
               "r"(pack<T>(c, d))
               : "memory");
}

}  // namespace ft::ptx
