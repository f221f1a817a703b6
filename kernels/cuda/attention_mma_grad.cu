// Attention backward on tensor cores, T of 16 bits with float sums: the two kernels of attention_grad.cu that
// walk tiles. p and ds are rounded to T before they meet dout, q and k. The gradient of keys works on
// the transposed scores, sᵀ = k qᵀ, so that a warp's 16 keys are rows of what it sums.
#include "kernels/cuda/attention_mma.cuh"

namespace ft::cuda_attention {
namespace {

constexpr int kResidentRows = kWarps * 16;

template <int D>
constexpr int kWalkedRows = D > 64 ? 32 : 64;

/// What the walked lanes' pairs need beside their rows; lse and slope to base 2.
template <int kCount>
struct Columns {
  float lse[kCount], delta[kCount], own[kCount], slope[kCount];
  int first[kCount], last[kCount];
};

template <class T, int D>
struct MmaGradTile {
  Rows<T, D, kResidentRows> resident[2];
  Rows<T, D, kWalkedRows<D>> walked[2][2];  // [stage][operand]
  Columns<kWalkedRows<D>> columns[2];       // of the keys' gradient
};

/// Block (key tile, key head, sample). `prefix_sums` is null where the prefix is frozen.
template <class T, int D>
__global__ __launch_bounds__(kMmaThreads, 2) void mma_keys_kernel(const AttentionGradArgs<T> g,
                                                                  const float* delta, float* prefix_sums) {
  constexpr int kWalked = kWalkedRows<D>, N = kWalked / 8;
  extern __shared__ uint4 shared[];
  auto& tile = *reinterpret_cast<MmaGradTile<T, D>*>(shared);
  const AttentionArgs<T>& a = g.forward;
  const Sample s = device_sample(a, blockIdx.z);
  const int kv_head = blockIdx.y, head_dim = static_cast<int>(a.head_dim);
  const int begin = blockIdx.x * kResidentRows, end = begin + kResidentRows;
  if (begin >= s.keys || (!prefix_sums && end <= s.prefix)) return;
  const int warp_row = threadIdx.x / 32 * 16, first_row = warp_row + threadIdx.x % 32 / 4;
  const int column = threadIdx.x % 4 * 2, warp_begin = begin + warp_row;  // the warp's keys
  const int q_first = a.q_bounds.device[0];

  const auto next_tile = [&](int lane) {
    while (lane < s.lanes() && !s.visible(lane, min(lane + kWalked, s.lanes()), begin, end)) lane += kWalked;
    return lane;
  };
  const auto fetch = [&](int lane_begin, int stage) {
    if (lane_begin < s.lanes()) {
      copy_lanes(tile.walked[stage][0], a.q, a.ldq, a.head_dim, s, kv_head, lane_begin);
      copy_lanes(tile.walked[stage][1], g.dout, a.ldo, a.head_dim, s, kv_head, lane_begin);
      if (threadIdx.x < kWalked) {
        const int l = lane_begin + threadIdx.x;
        const Lane lane(a, s, kv_head, l);
        // Past the end, zero rows meet finite weights: they add nothing.
        Columns<kWalked>& c = tile.columns[stage];
        const bool valid = l < s.lanes();
        c.lse[threadIdx.x] = valid ? a.lse[lane.token * a.heads + lane.head] * kLog2E : 0;
        c.delta[threadIdx.x] = valid ? delta[(lane.token - q_first) * a.heads + lane.head] : 0;
        c.own[threadIdx.x] = lane.own;
        c.slope[threadIdx.x] = lane.slope * kLog2E;
        c.first[threadIdx.x] = lane.first;
        c.last[threadIdx.x] = lane.last;
      }
    }
    ptx::copy_async_commit();
  };

  copy_keys(tile.resident[0], a.prefix_k, a.ld_prefix, a.k, a.ldk, a.head_dim, s, kv_head, begin);
  copy_keys(tile.resident[1], a.prefix_v, a.ld_prefix, a.v, a.ldv, a.head_dim, s, kv_head, begin);
  int lane_begin = next_tile(0), stage = 0;
  fetch(lane_begin, stage);
  float dk[1][D / 8][4] = {}, dv[1][D / 8][4] = {};
  const float scale = a.scale * kLog2E;

  for (int next; lane_begin < s.lanes(); lane_begin = next, stage ^= 1) {
    next = next_tile(lane_begin + kWalked);
    const int walked_end = min(lane_begin + kWalked, s.lanes());
    fetch(next, stage ^ 1);
    ptx::copy_async_wait<1>();
    __syncthreads();
    if (warp_begin < s.keys && s.visible(lane_begin, walked_end, warp_begin, warp_begin + 16)) {
      float p[1][N][4], ds[1][N][4];
      multiply_resident<D>(
          [&](uint32_t(&f)[4], int, int step) { resident_fragment(f, tile.resident[0], warp_row, step); },
          tile.walked[stage][0], p);
      multiply_resident<D>(
          [&](uint32_t(&f)[4], int, int step) { resident_fragment(f, tile.resident[1], warp_row, step); },
          tile.walked[stage][1], ds);
      add_relative_bias(a, s, kv_head, p[0], [&](int n, int i) {
        return int2{lane_begin + n * 8 + column + i % 2, begin + first_row + i / 2 * 8};
      });
      const bool plain = !has_bias(a) && s.all_visible(lane_begin, walked_end, warp_begin, warp_begin + 16);
      const Columns<kWalked>& c = tile.columns[stage];
#pragma unroll
      for (int n = 0; n < N; ++n) {
        const int l = n * 8 + column;
        const float2 lse = *reinterpret_cast<const float2*>(&c.lse[l]);
        const float2 lane_delta = *reinterpret_cast<const float2*>(&c.delta[l]);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          float x = p[0][n][i] * scale;
          bool seen = true;
          if (!plain) {
            const int key = begin + first_row + i / 2 * 8, at = l + i % 2;
            seen = key < s.prefix || (key >= c.first[at] && key < c.last[at]);
            x = fmaf(c.slope[at], static_cast<float>(key) - c.own[at], x);
          }
          p[0][n][i] = seen ? ptx::exp2(x - (i % 2 ? lse.y : lse.x)) : 0.0f;
          ds[0][n][i] = seen ? p[0][n][i] * (ds[0][n][i] - (i % 2 ? lane_delta.y : lane_delta.x)) : 0.0f;
        }
      }
      add_weighted_walked<D>(p, tile.walked[stage][1], dv);
      add_weighted_walked<D>(ds, tile.walked[stage][0], dk);
    }
    __syncthreads();
  }
  ptx::copy_async_wait<0>();
  __syncthreads();

  if (prefix_sums && begin < s.prefix) {
    const int64_t unit = static_cast<int64_t>(blockIdx.z) * a.kv_heads + kv_head;
    float* sums = prefix_sums + unit * 2 * a.prefix * a.head_dim;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int key = begin + first_row + half * 8;
      if (key >= s.prefix) continue;
      float *to_k = sums + key * a.head_dim, *to_v = to_k + a.prefix * a.head_dim;
#pragma unroll
      for (int j = 0; j < D / 8; ++j)
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const int f = j * 8 + column + i;
          if (f >= head_dim) continue;
          to_k[f] = dk[0][j][half * 2 + i] * a.scale;
          to_v[f] = dv[0][j][half * 2 + i];
        }
    }
  }
  const auto row_of = [&](T* p, int64_t ld, int r) -> T* {
    const int key = begin + r;
    if (key < s.prefix || key >= s.keys) return nullptr;
    return p + (s.kv_begin + key - s.prefix) * ld + kv_head * a.head_dim;
  };
  store_fragments(tile.resident[0], warp_row, dk[0], {a.scale, a.scale}, head_dim,
                  [&](int r) { return row_of(g.dk, a.ldk, r); });
  store_fragments(tile.resident[1], warp_row, dv[0], {1, 1}, head_dim,
                  [&](int r) { return row_of(g.dv, a.ldv, r); });
}

/// Block (lane tile, key head, sample).
template <class T, int D>
__global__ __launch_bounds__(kMmaThreads, 2) void mma_queries_kernel(const AttentionGradArgs<T> g,
                                                                     const float* delta) {
  constexpr int kWalked = kWalkedRows<D>, N = kWalked / 8;
  extern __shared__ uint4 shared[];
  auto& tile = *reinterpret_cast<MmaGradTile<T, D>*>(shared);
  const AttentionArgs<T>& a = g.forward;
  const Sample s = device_sample(a, blockIdx.z);
  const int kv_head = blockIdx.y, head_dim = static_cast<int>(a.head_dim);
  const int lane_begin = (gridDim.x - 1 - blockIdx.x) * kResidentRows;  // the longest rows first
  if (lane_begin >= s.lanes()) return;
  const int lane_end = min(lane_begin + kResidentRows, s.lanes());
  const int warp_row = threadIdx.x / 32 * 16, first_row = warp_row + threadIdx.x % 32 / 4;
  const int column = threadIdx.x % 4 * 2;
  const int warp_begin = lane_begin + warp_row, warp_end = min(warp_begin + 16, s.lanes());
  const int q_first = a.q_bounds.device[0];

  const auto next_tile = [&](int begin) {
    while (begin < s.keys && !s.visible(lane_begin, lane_end, begin, begin + kWalked)) begin += kWalked;
    return begin;
  };
  const auto fetch = [&](int begin, int stage) {
    if (begin < s.keys) {
      copy_keys(tile.walked[stage][0], a.prefix_k, a.ld_prefix, a.k, a.ldk, a.head_dim, s, kv_head, begin);
      copy_keys(tile.walked[stage][1], a.prefix_v, a.ld_prefix, a.v, a.ldv, a.head_dim, s, kv_head, begin);
    }
    ptx::copy_async_commit();
  };

  copy_lanes(tile.resident[0], a.q, a.ldq, a.head_dim, s, kv_head, lane_begin);
  copy_lanes(tile.resident[1], g.dout, a.ldo, a.head_dim, s, kv_head, lane_begin);
  int begin = next_tile(0), stage = 0;
  fetch(begin, stage);
  Lane lane[2];
  float dq[1][D / 8][4] = {}, lse[2] = {0, 0}, lane_delta[2] = {0, 0};
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int l = lane_begin + first_row + half * 8;
    lane[half] = Lane(a, s, kv_head, l);
    if (l >= s.lanes()) continue;
    lse[half] = a.lse[lane[half].token * a.heads + lane[half].head] * kLog2E;
    lane_delta[half] = delta[(lane[half].token - q_first) * a.heads + lane[half].head];
  }
  const float scale = a.scale * kLog2E;

  for (int next; begin < s.keys; begin = next, stage ^= 1) {
    next = next_tile(begin + kWalked);
    fetch(next, stage ^ 1);
    ptx::copy_async_wait<1>();
    __syncthreads();
    if (warp_begin < warp_end && s.visible(warp_begin, warp_end, begin, begin + kWalked)) {
      float p[1][N][4], ds[1][N][4];
      multiply_resident<D>(
          [&](uint32_t(&f)[4], int, int step) { resident_fragment(f, tile.resident[0], warp_row, step); },
          tile.walked[stage][0], p);
      multiply_resident<D>(
          [&](uint32_t(&f)[4], int, int step) { resident_fragment(f, tile.resident[1], warp_row, step); },
          tile.walked[stage][1], ds);
      add_relative_bias(a, s, kv_head, p[0], [&](int n, int i) {
        return int2{lane_begin + first_row + i / 2 * 8, begin + n * 8 + column + i % 2};
      });
      const bool plain = !has_bias(a) && s.all_visible(warp_begin, warp_end, begin, begin + kWalked);
#pragma unroll
      for (int n = 0; n < N; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const Lane& at = lane[i / 2];
          float x = p[0][n][i] * scale;
          bool seen = true;
          if (!plain) {
            const int key = begin + n * 8 + column + i % 2;
            seen = at.sees(key);
            x = fmaf(at.slope * kLog2E, static_cast<float>(key) - at.own, x);
          }
          ds[0][n][i] = seen ? ptx::exp2(x - lse[i / 2]) * (ds[0][n][i] - lane_delta[i / 2]) : 0.0f;
        }
      add_weighted_walked<D>(ds, tile.walked[stage][0], dq);
    }
    __syncthreads();
  }
  ptx::copy_async_wait<0>();
  __syncthreads();
  store_fragments(tile.resident[0], warp_row, dq[0], {a.scale, a.scale}, head_dim, [&](int r) -> T* {
    const int l = lane_begin + r;
    return l < s.lanes() ? g.dq + lane_offset(s, kv_head, l, a.ldq, a.head_dim) : nullptr;
  });
}

}  // namespace

template <class T>
void attention_grad_mma(CudaStream& stream, const AttentionGradArgs<T>& g, const float* delta,
                        float* prefix_sums) {
  const AttentionArgs<T>& a = g.forward;
  const dim3 keys = attention_grid(a, [](const Sample& s) { return blocks_for(s.keys, kResidentRows); });
  const dim3 queries =
      attention_grid(a, [](const Sample& s) { return blocks_for(s.lanes(), kResidentRows); });
  for_mma_head_dim(a.head_dim, [&]<int D>() {
    launch_attention("attention_grad (keys, tensor cores)", mma_keys_kernel<T, D>, keys, kMmaThreads,
                     sizeof(MmaGradTile<T, D>), stream, g, delta, prefix_sums);
    launch_attention("attention_grad (queries, tensor cores)", mma_queries_kernel<T, D>, queries, kMmaThreads,
                     sizeof(MmaGradTile<T, D>), stream, g, delta);
  });
}
template void attention_grad_mma(CudaStream&, const AttentionGradArgs<BF16>&, const float*, float*);
template void attention_grad_mma(CudaStream&, const AttentionGradArgs<F16>&, const float*, float*);

}  // namespace ft::cuda_attention
