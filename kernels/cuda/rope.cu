// Rotary embedding in place: every pair (a, b) of a head becomes (a·cos − b·sin, a·sin + b·cos); the inverse,
// which is the backward, turns by −angle. A warp has a token, a thread 16 bytes of each half (or 16 bytes of
// neighbouring pairs) of a head; heads share the token's angles through L1. Float32 has the CPU's bits.
#include "engine/ops/rope.h"

#include "kernels/cuda/pack.cuh"
#include "kernels/cuda/row_grid.cuh"

namespace ft {
namespace {

/// Turns (a, b) by the angle of (cos, sin), one rounding for each product's sum.
__device__ __forceinline__ void turn(float& a, float& b, float cos, float sin) {
  const float x = a;
  a = __fmaf_rn(-b, sin, __fmul_rn(x, cos));
  b = __fmaf_rn(b, cos, __fmul_rn(x, sin));
}

template <class T, bool kNeighbours>
__global__ void __launch_bounds__(kWarp* kRowsPerBlock) rope_kernel(RopeArgs<T> args, bool aligned) {
  constexpr int kN = kGroup<T>, kPairs = kNeighbours ? kN / 2 : kN;
  const int64_t token = row_of_warp();
  if (token >= args.tokens) return;
  const int64_t half = args.rotary_dim / 2;
  const auto groups = static_cast<uint32_t>((half + kPairs - 1) / kPairs);  // of a head
  const float sign = args.inverse ? -1.0f : 1.0f;
  for_each_group(args.heads * groups, [&](int64_t group) {
    const uint32_t head = static_cast<uint32_t>(group) / groups;
    const int64_t pair = (static_cast<uint32_t>(group) - head * groups) * kPairs;
    T* x = args.x + token * args.ld + head * args.head_dim;
    float cos[kPairs], sin[kPairs];
    load_values(args.cos + token * half + pair, half - pair, aligned, cos);
    load_values(args.sin + token * half + pair, half - pair, aligned, sin);
    if constexpr (kNeighbours) {
      float v[kN];
      load_values(x + 2 * pair, 2 * (half - pair), aligned, v);
#pragma unroll
      for (int k = 0; k < kPairs; ++k) turn(v[2 * k], v[2 * k + 1], cos[k], sign * sin[k]);
      store_values(x + 2 * pair, 2 * (half - pair), aligned, v);
    } else {
      float a[kN], b[kN];
      load_values(x + pair, half - pair, aligned, a);
      load_values(x + half + pair, half - pair, aligned, b);
#pragma unroll
      for (int k = 0; k < kPairs; ++k) turn(a[k], b[k], cos[k], sign * sin[k]);
      store_values(x + pair, half - pair, aligned, a);
      store_values(x + half + pair, half - pair, aligned, b);
    }
  });
}

template <class T>
void rope_impl(CudaStream& s, const RopeArgs<T>& a) {
  FT_CHECK(a.rotary_dim >= 0 && a.rotary_dim % 2 == 0 && a.rotary_dim <= a.head_dim,
           "[rope] expected an even rotary_dim of at most head_dim = {}, got {}", a.head_dim, a.rotary_dim);
  if (a.tokens == 0 || a.heads == 0 || a.rotary_dim == 0) return;
  const int64_t half = a.rotary_dim / 2, pairs = a.interleaved ? kGroup<T> / 2 : kGroup<T>;
  const bool aligned = aligned_rows(a.x, a.ld) && aligned_rows(a.x, a.head_dim) && aligned_rows(a.x, half) &&
                       aligned_rows(a.cos, half) && aligned_rows(a.sin, half);
  const RowGrid grid(a.tokens, a.heads * blocks_for(half, pairs));
  if (a.interleaved)
    rope_kernel<T, true><<<grid.blocks, grid.threads, 0, s.handle()>>>(a, aligned);
  else
    rope_kernel<T, false><<<grid.blocks, grid.threads, 0, s.handle()>>>(a, aligned);
  check_launch("rope");
}

}  // namespace

void rope(CudaStream& s, const RopeArgs<float>& a) {
  rope_impl(s, a);
}
void rope(CudaStream& s, const RopeArgs<BF16>& a) {
  rope_impl(s, a);
}
void rope(CudaStream& s, const RopeArgs<F16>& a) {
  rope_impl(s, a);
}

}  // namespace ft
