// Attention forward on tensor cores, T of 16 bits with float sums: the algorithm of attention.cu, a block of
// 64 or 128 lanes, queries in registers for the whole walk, tiles of 64 keys. Exponents are taken to base 2;
// p is rounded to T before it meets the values, the sum is of the unrounded p.
#include "kernels/cuda/attention_mma.cuh"

namespace ft::cuda_attention {
namespace {

constexpr int kKeys = 64, kN = kKeys / 8;

/// 16-row fragments of a warp: two share each key and value that comes from shared memory, where the
/// registers hold two outputs.
template <int D>
constexpr int kFragments = D > 64 ? 1 : 2;
template <int D>
constexpr int kLanes = kWarps * 16 * kFragments<D>;

template <class T, int D>
union MmaForwardStage {
  struct {
    Rows<T, D, kKeys> k, v;
  } keys;
  Rows<T, D, kLanes<D>> lanes;  // stage 1 first brings the queries, stage 0 takes the output away
};

/// One half (rows g or g + 8) of a fragment's products to scores to base 2: of the keys from `key` on,
/// masked.
template <class T>
__device__ void bias_and_mask(const AttentionArgs<T>& a, float (&x)[kN][4], int half, const Lane& lane,
                              int key) {
#pragma unroll
  for (int n = 0; n < kN; ++n)
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int at = key + n * 8 + i;
      float& score = x[n][half * 2 + i];
      score = lane.sees(at) ? fmaf(lane.slope * kLog2E, static_cast<float>(at) - lane.own, score) : -INFINITY;
    }
  if (!a.relative_bias) return;
#pragma unroll
  for (int n = 0; n < kN; ++n)
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int distance = key + n * 8 + i - static_cast<int>(lane.own);
      float& score = x[n][half * 2 + i];
      score = fmaf(relative_bias(a, lane.head, distance), kLog2E, score);
    }
}

/// One half (rows g or g + 8) of a fragment's scores to exp2(score − maximum), maximum, sum and output
/// carried on.
template <int D>
__device__ void online_softmax(float (&x)[kN][4], int half, float& maximum, float& sum,
                               float (&out)[D / 8][4]) {
  float m = maximum;
#pragma unroll
  for (int n = 0; n < kN; ++n) m = fmaxf(m, fmaxf(x[n][half * 2], x[n][half * 2 + 1]));
  m = fmaxf(m, __shfl_xor_sync(~0u, m, 1));
  m = fmaxf(m, __shfl_xor_sync(~0u, m, 2));
  const float shift = m == -INFINITY ? 0 : m;  // nothing seen yet: −∞ − (−∞) is not a number
  const float factor = ptx::exp2(maximum - shift);
  maximum = m;
  sum *= factor;
#pragma unroll
  for (int n = 0; n < kN; ++n)
#pragma unroll
    for (int i = half * 2; i < half * 2 + 2; ++i) {
      x[n][i] = ptx::exp2(x[n][i] - shift);
      sum += x[n][i];
    }
#pragma unroll
  for (int j = 0; j < D / 8; ++j) {
    out[j][half * 2] *= factor;
    out[j][half * 2 + 1] *= factor;
  }
}

template <class T, int D>
__global__ __launch_bounds__(kMmaThreads, 2) void mma_forward_kernel(const AttentionArgs<T> a) {
  constexpr int M = kFragments<D>;
  extern __shared__ uint4 shared[];
  auto* stages = reinterpret_cast<MmaForwardStage<T, D>*>(shared);
  const Sample s = device_sample(a, blockIdx.z);
  const int kv_head = blockIdx.y, head_dim = static_cast<int>(a.head_dim);
  const int lane_begin = (gridDim.x - 1 - blockIdx.x) * kLanes<D>;  // the longest rows first
  if (lane_begin >= s.lanes() || pieces_of(s) > 1) return;
  const int lane_end = min(lane_begin + kLanes<D>, s.lanes());
  // What this warp, and of its rows this thread, owns.
  const int warp_row = threadIdx.x / 32 * 16 * M, first_row = warp_row + threadIdx.x % 32 / 4;
  const int column = threadIdx.x % 4 * 2;
  const int warp_begin = lane_begin + warp_row, warp_end = min(warp_begin + 16 * M, s.lanes());

  const auto next_tile = [&](int begin) {
    while (begin < s.keys && !s.visible(lane_begin, lane_end, begin, begin + kKeys)) begin += kKeys;
    return begin;
  };
  const auto fetch = [&](int begin, int stage) {
    if (begin < s.keys) {
      copy_keys(stages[stage].keys.k, a.prefix_k, a.ld_prefix, a.k, a.ldk, a.head_dim, s, kv_head, begin);
      copy_keys(stages[stage].keys.v, a.prefix_v, a.ld_prefix, a.v, a.ldv, a.head_dim, s, kv_head, begin);
    }
    ptx::copy_async_commit();
  };

  copy_lanes(stages[1].lanes, a.q, a.ldq, a.head_dim, s, kv_head, lane_begin);
  ptx::copy_async_commit();
  int begin = next_tile(0), stage = 0;
  fetch(begin, stage);
  ptx::copy_async_wait<1>();
  __syncthreads();
  uint32_t q[M][D / 16][4];
  float out[M][D / 8][4] = {}, maximum[M][2], sum[M][2];
#pragma unroll
  for (int m = 0; m < M; ++m) {
#pragma unroll
    for (int step = 0; step < D / 16; ++step)
      resident_fragment(q[m][step], stages[1].lanes, warp_row + m * 16, step);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      maximum[m][half] = -INFINITY;
      sum[m][half] = 0;
    }
  }
  __syncthreads();
  const float scale = a.scale * kLog2E;

  for (int next; begin < s.keys; begin = next, stage ^= 1) {
    next = next_tile(begin + kKeys);
    fetch(next, stage ^ 1);
    ptx::copy_async_wait<1>();
    __syncthreads();
    if (warp_begin < warp_end && s.visible(warp_begin, warp_end, begin, begin + kKeys)) {
      float x[M][kN][4];
      multiply_resident<D>(
          [&](uint32_t(&f)[4], int m, int step) {
#pragma unroll
            for (int i = 0; i < 4; ++i) f[i] = q[m][step][i];
          },
          stages[stage].keys.k, x);
      const bool plain = !has_bias(a) && s.all_visible(warp_begin, warp_end, begin, begin + kKeys);
#pragma unroll
      for (int m = 0; m < M; ++m) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
#pragma unroll
          for (int n = 0; n < kN; ++n) {
            x[m][n][half * 2] *= scale;
            x[m][n][half * 2 + 1] *= scale;
          }
          // A lane's bounds are found again for each tile that needs them: few do, and registers are short.
          if (!plain)
            bias_and_mask(a, x[m], half, Lane(a, s, kv_head, lane_begin + first_row + m * 16 + half * 8),
                          begin + column);
          online_softmax<D>(x[m], half, maximum[m][half], sum[m][half], out[m]);
        }
      }
      add_weighted_walked<D>(x, stages[stage].keys.v, out);
    }
    __syncthreads();
  }
  ptx::copy_async_wait<0>();

#pragma unroll
  for (int m = 0; m < M; ++m) {
    float factor[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const Lane at(a, s, kv_head, lane_begin + first_row + m * 16 + half * 8);
      float total = sum[m][half];
      total += __shfl_xor_sync(~0u, total, 1);
      total += __shfl_xor_sync(~0u, total, 2);
      const bool any = at.sees_any();
      factor[half] = any ? 1 / total : 0;
      if (a.lse && column == 0 && lane_begin + first_row + m * 16 + half * 8 < s.lanes())
        a.lse[at.token * a.heads + at.head] = any ? (maximum[m][half] + log2f(total)) * kLn2 : -INFINITY;
    }
    store_fragments(stages[0].lanes, warp_row + m * 16, out[m], factor, head_dim, [&](int r) -> T* {
      const int l = lane_begin + r;
      return l < s.lanes() ? a.out + lane_offset(s, kv_head, l, a.ldo, a.head_dim) : nullptr;
    });
  }
}

template <class T>
bool in_16_bytes(const T* p, int64_t ld) {
  return (reinterpret_cast<uintptr_t>(p) | static_cast<uintptr_t>(ld) * sizeof(T)) % 16 == 0;
}

}  // namespace

template <class T>
bool takes_tensor_cores(const AttentionArgs<T>& a) {
  return a.head_dim % 16 == 0 && a.head_dim <= 128 && in_16_bytes(a.q, a.ldq) && in_16_bytes(a.k, a.ldk) &&
         in_16_bytes(a.v, a.ldv) && in_16_bytes(a.out, a.ldo) &&
         (a.prefix == 0 || (in_16_bytes(a.prefix_k, a.ld_prefix) && in_16_bytes(a.prefix_v, a.ld_prefix)));
}
template <class T>
bool takes_tensor_cores(const AttentionGradArgs<T>& g) {
  const AttentionArgs<T>& a = g.forward;
  return takes_tensor_cores(a) && in_16_bytes(g.dout, a.ldo) && in_16_bytes(g.dq, a.ldq) &&
         in_16_bytes(g.dk, a.ldk) && in_16_bytes(g.dv, a.ldv);
}

template <class T>
void attention_mma(CudaStream& stream, const AttentionArgs<T>& a) {
  for_mma_head_dim(a.head_dim, [&]<int D>() {
    const dim3 grid = attention_grid(a, [&](const Sample& s) {
      return pieces_of(s) > 1 && !a.kv_end_is_most ? 0 : blocks_for(s.lanes(), kLanes<D>);
    });
    launch_attention("attention (tensor cores)", mma_forward_kernel<T, D>, grid, kMmaThreads,
                     2 * sizeof(MmaForwardStage<T, D>), stream, a);
  });
}

template bool takes_tensor_cores(const AttentionArgs<BF16>&);
template bool takes_tensor_cores(const AttentionGradArgs<BF16>&);
template void attention_mma(CudaStream&, const AttentionArgs<BF16>&);
template bool takes_tensor_cores(const AttentionArgs<F16>&);
template bool takes_tensor_cores(const AttentionGradArgs<F16>&);
template void attention_mma(CudaStream&, const AttentionArgs<F16>&);

}  // namespace ft::cuda_attention
