// Softmax cross entropy, a block a row, in two passes over it (the second, for the gradient, mostly from L2).
//
// First pass: each thread keeps the largest logit it has met and Σ e^(z − largest), rescaled when the largest
// grows (Milakov and Gimelshein 2018); the threads' sums are brought to the row's largest logit and added in
// double. Second pass: scale·(softmax − onehot), written over the logits. No exponent is ever positive, so no
// logit is too large; a row with NaN or +inf gives NaN. Which thread has which class follows from the class
// alone, so a row's bits do not depend on its address or its neighbours.
#include "engine/ops/cross_entropy.h"

#include <cmath>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/pack.cuh"
#include "kernels/cuda/reduce.cuh"

namespace ft {
namespace {

constexpr int kThreads = 512;

struct Lower {
  __device__ __forceinline__ int32_t operator()(int32_t a, int32_t b) const { return a < b ? a : b; }
};

template <class T>
__global__ void __launch_bounds__(kThreads)
    cross_entropy_kernel(CrossEntropyArgs<T> a, const int32_t* targets) {
  constexpr int kN = kGroup<T>;
  constexpr int32_t kNowhere = INT32_MAX;
  T* z = a.logits + blockIdx.x * a.ld;
  const bool aligned = reinterpret_cast<uintptr_t>(z) % 16 == 0;  // ld may be odd
  const int32_t target = targets[blockIdx.x];
  const float target_logit = value(z[target]);

  float top = -INFINITY, sum = 0;
  int32_t at = kNowhere;
  for (int64_t c = threadIdx.x * kN; c < a.classes; c += kThreads * kN) {
    float v[kN];
    load_values(z + c, a.classes - c, aligned, v, -INFINITY);
    float largest = v[0];
#pragma unroll
    for (int k = 1; k < kN; ++k) largest = fmaxf(largest, v[k]);
    if (largest > top) {
      sum *= expf(top - largest);
      top = largest;
#pragma unroll
      for (int k = kN - 1; k >= 0; --k)
        if (v[k] == largest) at = static_cast<int32_t>(c) + k;
    }
    // While all logits are −inf (or NaN) their terms are e^z itself: 0 (or NaN).
    const float shift = top == -INFINITY ? 0 : top;
#pragma unroll
    for (int k = 0; k < kN; ++k) sum += expf(v[k] - shift);
  }
  const float row_top = block_reduce<kThreads>(top, Larger());
  if (top != -INFINITY) sum *= expf(top - row_top);
  const double total = block_sum<kThreads>(static_cast<double>(sum));
  if (a.argmax) at = block_reduce<kThreads>(top == row_top ? at : kNowhere, Lower());
  if (threadIdx.x == 0) {
    a.loss[blockIdx.x] = log(total) + (static_cast<double>(row_top) - static_cast<double>(target_logit));
    if (a.argmax) a.argmax[blockIdx.x] = at == kNowhere ? 0 : at;
  }
  if (!a.gradient) return;

  const auto factor = static_cast<float>(static_cast<double>(a.scale) / total);
  for (int64_t c = threadIdx.x * kN; c < a.classes; c += kThreads * kN) {
    float v[kN];
    load_values(z + c, a.classes - c, aligned, v);
#pragma unroll
    for (int k = 0; k < kN; ++k)
      v[k] = __fmaf_rn(expf(v[k] - row_top), factor, c + k == target ? -a.scale : 0.0f);
    store_values(z + c, a.classes - c, aligned, v);
  }
}

template <class T>
void cross_entropy_impl(CudaStream& s, const CrossEntropyArgs<T>& a) {
  if (a.rows == 0) return;
  cross_entropy_kernel<<<static_cast<unsigned>(a.rows), kThreads, 0, s.handle()>>>(a, a.targets.device);
  check_launch("cross_entropy");
}

}  // namespace

void cross_entropy(CudaStream& s, const CrossEntropyArgs<float>& a) {
  cross_entropy_impl(s, a);
}
void cross_entropy(CudaStream& s, const CrossEntropyArgs<BF16>& a) {
  cross_entropy_impl(s, a);
}
void cross_entropy(CudaStream& s, const CrossEntropyArgs<F16>& a) {
  cross_entropy_impl(s, a);
}

}  // namespace ft
