// Kernels that exercise the interpreter, one feature each, with their launchers. The tests compare every one
// with plain C++. Letters: n elements, M/N/K of a product.
#include "tests/sim/kernels.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <type_traits>

namespace ft::sim::test {
namespace {

__constant__ float table[16];
__device__ int counter;

__global__ void add_kernel(const float* a, const float* b, float* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = a[i] + b[i];
}

__global__ void reduce_kernel(const float* x, float* out, int n) {
  __shared__ float partial[32];
  float sum = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) sum += x[blockIdx.x * n + i];
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, offset);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x < 32) {
    sum = threadIdx.x < blockDim.x / 32 ? partial[threadIdx.x] : 0.0f;
    for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_down_sync(0xffffffffu, sum, offset);
    if (threadIdx.x == 0) out[blockIdx.x] = sum;
  }
}

__global__ void double_kernel(const double* x, double* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    out[i] = sqrt(x[i] * x[i] + 1.0) / (x[i] + 3.0) - fma(x[i], x[i], -2.0) + exp(-x[i]) + (double)(int)x[i];
}

__global__ void dynamic_shared_kernel(const int* x, int* out, int n) {
  extern __shared__ int staged[];
  __shared__ int fixed[3];
  if (threadIdx.x == 0) fixed[1] = n;
  for (int i = threadIdx.x; i < n; i += blockDim.x) staged[i] = x[i];
  __syncthreads();
  for (int i = threadIdx.x; i < n; i += blockDim.x) out[i] = staged[fixed[1] - 1 - i];
}

__global__ void constant_kernel(float* out) {
  out[blockIdx.x * 32 + threadIdx.x] = table[threadIdx.x % 16] * 2.0f;
  if (threadIdx.x == 0) atomicAdd(&counter, 3);
}

__noinline__ __device__ int collatz(int x, int limit) {
  int steps = 0;
  while (x != 1 && steps < limit) {
    x = x % 2 == 0 ? x / 2 : 3 * x + 1;
    ++steps;
  }
  return steps;
}

struct Pair {
  int low;
  long long high;
};

__noinline__ __device__ Pair widen(Pair p, int by) {
  return {p.low + by, p.high * by};
}

__global__ void divergence_kernel(int* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  int value = collatz(i + 1, 1000);
  if (i % 3 == 1) value += collatz(2 * i + 1, 50);
  switch (i % 7) {
    case 0:
      value += 11;
      break;
    case 1:
      value *= 3;
      break;
    case 2:
      value ^= 0x55;
      break;
    case 3:
      value -= i;
      break;
    case 4:
      value = value / (i + 1);
      break;
    case 5:
      value = -value;
      break;
    default:
      value += __popc(i) + __clz(i) + (i << 3);
  }
  const Pair p = widen({value, value}, i);
  int local[8];
  for (int k = 0; k < 8; ++k) local[k] = value + k * i;
  out[i] = p.low + (int)p.high + local[i & 7];
}

__global__ void atomics_kernel(const int* keys, int* histogram, float* sum, unsigned long long* most, int n) {
  __shared__ int bins[16];
  if (threadIdx.x < 16) bins[threadIdx.x] = 0;
  __syncthreads();
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    atomicAdd(&bins[keys[i] & 15], 1);
    atomicAdd(sum, 0.5f);
    atomicMax(most, (unsigned long long)keys[i]);
  }
  __syncthreads();
  if (threadIdx.x < 16) atomicAdd(&histogram[threadIdx.x], bins[threadIdx.x]);
}

__global__ void half_kernel(const float* x, float* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const __half h = __float2half(x[i]);
  const __nv_bfloat16 b = __float2bfloat16(x[i]);
  const __half2 h2 = __hfma2(__half2half2(h), __float2half2_rn(1.5f), __float2half2_rn(0.25f));
  const __nv_bfloat162 b2 = __hmul2(__bfloat162bfloat162(b), __float2bfloat162_rn(3.0f));
  out[4 * i] = __half2float(h);
  out[4 * i + 1] = __bfloat162float(b);
  out[4 * i + 2] = __low2float(h2);
  out[4 * i + 3] = __high2float(b2);
}

__global__ void math_kernel(const float* x, float* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const float v = x[i];
  out[8 * i] = expf(v);
  out[8 * i + 1] = logf(fabsf(v) + 1.0f);
  out[8 * i + 2] = tanhf(v);
  out[8 * i + 3] = rsqrtf(v * v + 1.0f);
  out[8 * i + 4] = v / (1.0f + fabsf(v));
  out[8 * i + 5] = sinf(v) + cosf(v);
  out[8 * i + 6] = erff(v);
  out[8 * i + 7] = __expf(v) + floorf(v) + truncf(v) + rintf(v) + fmaxf(v, 0.5f);
}

// C[M,N] = A[M,K] B[N,K]^T; one warp computes 16 x 8, K in steps of 16 staged by cp.async. M % 16 = N % 8 = K
// % 16 = 0.
#define FT_MMA(type)                                                        \
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." type "." type       \
               ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};" \
               : "+f"(acc[0]), "+f"(acc[1]), "+f"(acc[2]), "+f"(acc[3])     \
               : "r"(fa[0]), "r"(fa[1]), "r"(fa[2]), "r"(fa[3]), "r"(fb[0]), "r"(fb[1]))
template <class T>
__global__ void mma_kernel(const T* a, const T* b, float* c, int n, int k) {
  __shared__ __align__(16) T tile_a[16][24], tile_b[8][24];
  const int lane = threadIdx.x;
  const int row0 = blockIdx.y * 16, col0 = blockIdx.x * 8;
  float acc[4] = {0, 0, 0, 0};
  for (int k0 = 0; k0 < k; k0 += 16) {
    const unsigned to_a = (unsigned)__cvta_generic_to_shared(&tile_a[lane / 2][lane % 2 * 8]);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to_a),
                 "l"(a + (row0 + lane / 2) * k + k0 + lane % 2 * 8));
    if (lane < 16) {
      const unsigned to_b = (unsigned)__cvta_generic_to_shared(&tile_b[lane / 2][lane % 2 * 8]);
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to_b),
                   "l"(b + (col0 + lane / 2) * k + k0 + lane % 2 * 8), "r"(16));
    }
    asm volatile("cp.async.commit_group;");
    asm volatile("cp.async.wait_group 0;");
    __syncwarp();
    unsigned fa[4], fb[2];
    const unsigned from_a = (unsigned)__cvta_generic_to_shared(&tile_a[lane % 16][lane / 16 * 8]);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(fa[0]), "=r"(fa[1]), "=r"(fa[2]), "=r"(fa[3])
                 : "r"(from_a));
    const unsigned from_b = (unsigned)__cvta_generic_to_shared(&tile_b[lane % 8][lane / 8 % 2 * 8]);
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
                 : "=r"(fb[0]), "=r"(fb[1])
                 : "r"(from_b));
    if constexpr (std::is_same_v<T, __half>)
      FT_MMA("f16");
    else
      FT_MMA("bf16");
    __syncwarp();
  }
  for (int i = 0; i < 4; ++i) c[(row0 + lane / 4 + i / 2 * 8) * n + col0 + lane % 4 * 2 + i % 2] = acc[i];
}

__global__ void vote_kernel(const int* x, int* out) {
  const int lane = threadIdx.x;
  const unsigned odd = __ballot_sync(0xffffffffu, x[lane] & 1);
  const unsigned same = __match_any_sync(0xffffffffu, x[lane]);
  out[lane * 5] = (int)odd;
  out[lane * 5 + 1] = (int)same;
  out[lane * 5 + 2] = (int)__reduce_add_sync(0xffffffffu, (unsigned)x[lane]);
  out[lane * 5 + 3] = __all_sync(0xffffffffu, x[lane] > 0) + 2 * __any_sync(0xffffffffu, x[lane] > 20);
  out[lane * 5 + 4] = __syncthreads_count(x[lane] & 1) + __shfl_up_sync(0xffffffffu, x[lane], 3) +
                      __shfl_sync(0xffffffffu, x[lane], lane ^ 5, 8);
}

// A struct by value that is indexed and passed on by reference: PTX then takes the address of the parameter.
__noinline__ __device__ float weigh(const Weights& w, int i) {
  return w.scale[i % 4] * w.offset;
}
__global__ void struct_kernel(Weights w, float* out) {
  const int i = threadIdx.x;
  const float* scale = w.scale;
  out[i] = weigh(w, i) + scale[(i * 7 + w.offset > 3 ? i : 0) % 4];
}

__global__ void bounds_kernel(float* out, int n) {
  out[threadIdx.x + n] = 1.0f;
}

}  // namespace

void add(const float* a, const float* b, float* out, int n) {
  add_kernel<<<(n + 127) / 128, 128>>>(a, b, out, n);
}
void reduce(const float* x, float* out, int rows, int n) {
  reduce_kernel<<<rows, 256>>>(x, out, n);
}
void doubles(const double* x, double* out, int n) {
  double_kernel<<<(n + 63) / 64, 64>>>(x, out, n);
}
void dynamic_shared(const int* x, int* out, int n) {
  dynamic_shared_kernel<<<1, 64, n * sizeof(int)>>>(x, out, n);
}
void constant(const float* host_table, float* out, int* host_counter) {
  cudaMemcpyToSymbol(table, host_table, sizeof(table));
  const int zero = 0;
  cudaMemcpyToSymbol(counter, &zero, sizeof(zero));
  constant_kernel<<<2, 32>>>(out);
  cudaMemcpyFromSymbol(host_counter, counter, sizeof(int));
}
void divergence(int* out, int n) {
  divergence_kernel<<<(n + 95) / 96, 96>>>(out, n);
}
void atomics(const int* keys, int* histogram, float* sum, unsigned long long* most, int n) {
  atomics_kernel<<<(n + 63) / 64, 64>>>(keys, histogram, sum, most, n);
}
void halves(const float* x, float* out, int n) {
  half_kernel<<<(n + 31) / 32, 32>>>(x, out, n);
}
void math(const float* x, float* out, int n) {
  math_kernel<<<(n + 31) / 32, 32>>>(x, out, n);
}
template <class T>
void mma_of(const uint16_t* a, const uint16_t* b, float* c, int m, int n, int k) {
  mma_kernel<<<dim3(n / 8, m / 16), 32>>>(reinterpret_cast<const T*>(a), reinterpret_cast<const T*>(b), c, n,
                                          k);
}
void mma(const uint16_t* a, const uint16_t* b, float* c, int m, int n, int k, bool half) {
  (half ? mma_of<__half> : mma_of<__nv_bfloat16>)(a, b, c, m, n, k);
}
void votes(const int* x, int* out) {
  vote_kernel<<<1, 32>>>(x, out);
}
void structs(const Weights& w, float* out) {
  struct_kernel<<<1, 32>>>(w, out);
}
void out_of_bounds(float* out, int n) {
  bounds_kernel<<<1, 32>>>(out, n);
}

}  // namespace ft::sim::test
