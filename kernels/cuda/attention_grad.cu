// Attention backward (Dao et al. 2022, algorithm 4) without atomics. The probabilities are recomputed from
// the saved lse:
//
//   p = exp(s − lse),  dp = do vᵀ,  ds = p ∘ (dp − δ) with δ = do·o,
//   dv = pᵀ do,  dk = scale · dsᵀ q,  dq = scale · ds k
//
// Three kernels: δ; dk and dv, a block per key tile that walks the lane tiles in order; dq, a block per lane
// tile that walks the key tiles in order. Scores are computed twice for that, 14·D operations a visible pair.
// Prefix rows: each sample's dk and dv go to scratch, [samples, kv_heads, 2, P, D], and a fourth kernel adds
// them to the prefix gradients in the order of the samples. A frozen prefix's tiles are skipped. The gradient
// of a bias by distance has kernels of its own (attention_bias_grad.cu).
#include "kernels/cuda/attention_grad.cuh"
#include "kernels/cuda/attention_mma.cuh"

namespace ft {
namespace cuda_attention {
namespace {

/// δ [tokens, heads] of the samples' tokens, a warp a row.
template <class T>
__global__ __launch_bounds__(kThreads) void delta_kernel(const AttentionGradArgs<T> g, float* delta,
                                                         int64_t first, int64_t rows) {
  const AttentionArgs<T>& a = g.forward;
  const int64_t row = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / 32;
  if (row >= rows) return;
  const int64_t token = first + row / a.heads, head = row % a.heads;
  const int64_t at = token * a.ldo + head * a.head_dim;
  float sum = 0;
  for (int64_t f = threadIdx.x % 32; f < a.head_dim; f += 32)
    sum = fmaf(value(g.dout[at + f]), value(a.out[at + f]), sum);
#pragma unroll
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
  if (threadIdx.x % 32 == 0) delta[row] = sum;
}

/// Block (key tile, key head, sample). `prefix_sums` is null where the prefix is frozen.
template <class T, int D>
__global__ __launch_bounds__(kThreads, 2) void keys_kernel(const AttentionGradArgs<T> g, const float* delta,
                                                           float* prefix_sums) {
  using Tile = GradTile<D, 2>;
  constexpr int R = Tile::kR, C = Tile::kC;
  extern __shared__ float4 shared[];
  Tile& tile = *reinterpret_cast<Tile*>(shared);
  const AttentionArgs<T>& a = g.forward;
  const Sample s = device_sample(a, blockIdx.z);
  const int kv_head = blockIdx.y, tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  const int begin = blockIdx.x * Tile::kResident, end = begin + Tile::kResident;
  if (begin >= s.keys || (!prefix_sums && end <= s.prefix)) return;
  const int head_dim = static_cast<int>(a.head_dim), depth = (head_dim + 3) / 4 * 4;
  const int q_first = a.q_bounds.device[0];

  load_keys<D>(tile.resident[0], Tile::kResident, a.prefix_k, a.ld_prefix, a.k, a.ldk, a.head_dim, s, kv_head,
               begin);
  load_keys<D>(tile.resident[1], Tile::kResident, a.prefix_v, a.ld_prefix, a.v, a.ldv, a.head_dim, s, kv_head,
               begin);
  float dk[R][Features<D>::kCount] = {}, dv[R][Features<D>::kCount] = {};
  const bool busy = begin + ty / 2 * 2 * R < s.keys;
  for (int lane_begin = 0; lane_begin < s.lanes(); lane_begin += Tile::kWalked) {
    if (!s.visible(lane_begin, min(lane_begin + Tile::kWalked, s.lanes()), begin, end)) continue;
    __syncthreads();
    load_lanes<D>(tile.walked[0], Tile::kWalked, a.q, a.ldq, a.head_dim, s, kv_head, lane_begin);
    load_lanes<D>(tile.walked[1], Tile::kWalked, g.dout, a.ldo, a.head_dim, s, kv_head, lane_begin);
    __syncthreads();
    if (!busy) continue;
    float p[R][C], ds[R][C];
    multiply_rows<D>(tile.resident[0], tile.walked[0], depth, p);
    multiply_rows<D>(tile.resident[1], tile.walked[1], depth, ds);
#pragma unroll
    for (int j = 0; j < C; ++j) {
      const Lane lane(a, s, kv_head, lane_begin + tx + 16 * j);
      float lse = 0, lane_delta = 0;
      if (lane_begin + tx + 16 * j < s.lanes()) {
        lse = a.lse[lane.token * a.heads + lane.head];
        lane_delta = delta[(lane.token - q_first) * a.heads + lane.head];
      }
#pragma unroll
      for (int i = 0; i < R; ++i) {
        probability_and_ds(a, lane, begin + ty * R + i, lse, lane_delta, p[i][j], ds[i][j]);
        tile.weights[0][ty * R + i][tx + 16 * j] = p[i][j];
        tile.weights[1][ty * R + i][tx + 16 * j] = ds[i][j];
      }
    }
    __syncwarp();
    add_weighted_rows<D, R>(tile.weights[0], tile.walked[1], Tile::kWalked, dv);
    add_weighted_rows<D, R>(tile.weights[1], tile.walked[0], Tile::kWalked, dk);
    __syncwarp();
  }

  const bool quads_k = in_quads(g.dk, a.ldk, a.head_dim), quads_v = in_quads(g.dv, a.ldv, a.head_dim);
#pragma unroll
  for (int i = 0; i < R; ++i) {
    const int key = begin + ty * R + i;
    if (key >= s.keys) continue;
    if (key >= s.prefix) {
      const int64_t row = s.kv_begin + key - s.prefix;
      store_row<D>(g.dk + row * a.ldk + kv_head * a.head_dim, dk[i], a.scale, head_dim, quads_k);
      store_row<D>(g.dv + row * a.ldv + kv_head * a.head_dim, dv[i], 1.0f, head_dim, quads_v);
    } else if (prefix_sums) {
      const int64_t unit = static_cast<int64_t>(blockIdx.z) * a.kv_heads + kv_head;
      float* sums = prefix_sums + unit * 2 * a.prefix * a.head_dim;
      store_row<D>(sums + key * a.head_dim, dk[i], a.scale, head_dim, false);
      store_row<D>(sums + (a.prefix + key) * a.head_dim, dv[i], 1.0f, head_dim, false);
    }
  }
}

/// Block (lane tile, key head, sample).
template <class T, int D>
__global__ __launch_bounds__(kThreads, 2) void queries_kernel(const AttentionGradArgs<T> g,
                                                              const float* delta) {
  using Tile = GradTile<D, 1>;
  constexpr int R = Tile::kR;
  extern __shared__ float4 shared[];
  Tile& tile = *reinterpret_cast<Tile*>(shared);
  const AttentionArgs<T>& a = g.forward;
  const Sample s = device_sample(a, blockIdx.z);
  const int kv_head = blockIdx.y, ty = threadIdx.x / 16;
  const int lane_begin = (gridDim.x - 1 - blockIdx.x) * Tile::kResident;  // the longest rows first
  if (lane_begin >= s.lanes()) return;
  const int head_dim = static_cast<int>(a.head_dim);

  const ResidentLanes<R> lanes(a, s, kv_head, lane_begin + ty * R, delta);
  float dq[R][Features<D>::kCount] = {};
  const bool busy = lane_begin + ty / 2 * 2 * R < s.lanes();
  walk_keys<D>(tile, g, s, kv_head, lane_begin, [&](int begin) {
    if (!busy) return;
    store_ds<D>(tile, a, lanes, begin);
    __syncwarp();
    add_weighted_rows<D, R>(tile.weights[0], tile.walked[0], Tile::kWalked, dq);
    __syncwarp();
  });
  const bool quads = in_quads(g.dq, a.ldq, a.head_dim);
#pragma unroll
  for (int i = 0; i < R; ++i)
    if (lane_begin + ty * R + i < s.lanes())
      store_row<D>(g.dq + lanes.lane[i].token * a.ldq + lanes.lane[i].head * a.head_dim, dq[i], a.scale,
                   head_dim, quads);
}

/// dprefix_k and dprefix_v [P, kv_heads·D] += the samples' sums, in order; a thread an element of both.
template <class T>
__global__ __launch_bounds__(kThreads) void prefix_kernel(const AttentionGradArgs<T> g, const float* sums) {
  const AttentionArgs<T>& a = g.forward;
  const int64_t width = a.kv_heads * a.head_dim,
                at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (at >= a.prefix * width) return;
  const int64_t j = at / width, column = at % width, head = column / a.head_dim, f = column % a.head_dim;
  T *to_k = g.dprefix_k + j * a.ld_prefix + column, *to_v = g.dprefix_v + j * a.ld_prefix + column;
  const int64_t half = a.prefix * a.head_dim;
  float dk = value(*to_k), dv = value(*to_v);
  for (int s = 0; s < a.samples; ++s) {
    const float* sum = sums + (s * a.kv_heads + head) * 2 * half + j * a.head_dim + f;
    dk += sum[0];
    dv += sum[half];
  }
  *to_k = rounded<T>(dk);
  *to_v = rounded<T>(dv);
}

template <class T>
void run_tiles(CudaStream& stream, const AttentionGradArgs<T>& g, const float* delta, float* sums) {
  if constexpr (sizeof(T) == 2)
    if (takes_tensor_cores(g)) return attention_grad_mma(stream, g, delta, sums);
  for_head_dim(g.forward.head_dim, [&]<int D>() {
    const dim3 keys = attention_grid(
        g.forward, [](const Sample& s) { return blocks_for(s.keys, GradShape<D>::kResident); });
    launch_attention("attention_grad (keys)", keys_kernel<T, D>, keys, kThreads, sizeof(GradTile<D, 2>),
                     stream, g, delta, sums);
    const dim3 queries = attention_grid(
        g.forward, [](const Sample& s) { return blocks_for(s.lanes(), GradShape<D>::kResident); });
    launch_attention("attention_grad (queries)", queries_kernel<T, D>, queries, kThreads,
                     sizeof(GradTile<D, 1>), stream, g, delta);
  });
}

template <class T>
void run(CudaStream& stream, const AttentionGradArgs<T>& g) {
  const AttentionArgs<T>& a = g.forward;
  check_attention(a);
  FT_CHECK(a.lse, "[attention_grad] expected the forward's lse, got null");
  FT_CHECK(!g.dprefix_k == !g.dprefix_v,
           "[attention_grad] expected both prefix gradients or neither, got one");
  if (a.samples == 0) return;
  const bool prefix = a.prefix > 0 && g.dprefix_k;
  const int64_t first = a.q_bounds.host[0], rows = (a.q_bounds.host[a.samples] - first) * a.heads;
  const int64_t prefix_sums = prefix ? a.samples * a.kv_heads * 2 * a.prefix * a.head_dim : 0;
  const int64_t bias_sums = attention_bias_sums(g);
  float* delta = stream.scratch<float>(rows + prefix_sums + bias_sums);
  float* sums = prefix ? delta + rows : nullptr;

  const auto blocks = [](int64_t items, int64_t per_block) {
    return dim3(static_cast<unsigned>(blocks_for(items, per_block)));
  };
  launch_attention("attention_grad (delta)", delta_kernel<T>, blocks(rows, kThreads / 32), kThreads, 0,
                   stream, g, delta, first, rows);
  run_tiles(stream, g, delta, sums);
  if (prefix)
    launch_attention("attention_grad (prefix)", prefix_kernel<T>,
                     blocks(a.prefix * a.kv_heads * a.head_dim, kThreads), kThreads, 0, stream, g, sums);
  if (bias_sums > 0) attention_bias_grad(stream, g, delta, delta + rows + prefix_sums);
}

}  // namespace
}  // namespace cuda_attention

void attention_grad(CudaStream& stream, const AttentionGradArgs<float>& args) {
  cuda_attention::run(stream, args);
}
void attention_grad(CudaStream& stream, const AttentionGradArgs<BF16>& args) {
  cuda_attention::run(stream, args);
}
void attention_grad(CudaStream& stream, const AttentionGradArgs<F16>& args) {
  cuda_attention::run(stream, args);
}

}  // namespace ft
