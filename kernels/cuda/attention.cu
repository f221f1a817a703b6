// Attention forward: FlashAttention's online softmax (Dao et al. 2022; Milakov and Gimelshein 2018). A block
// owns a tile of lanes of one sample and key head, keeps their queries in shared memory and their
// unnormalised output, maximum and sum in registers, and walks the key tiles in order. Nothing of size
// n_q × n_kv exists; 4·D operations a visible pair, q and out moved once, k and v once per lane tile.
//
// Few lanes over many keys (generation) would leave the device idle: such a sample's keys are cut into
// pieces of kPieceKeys, a block each, and a second kernel joins their results in order. The cut follows from
// the sample's own shape, so a row's bits do not depend on its company.
#include "engine/ops/attention.h"

#include "kernels/cuda/attention_mma.cuh"
#include "kernels/cuda/attention_tile.cuh"

namespace ft {
namespace cuda_attention {
namespace {

/// What the pieces of samples leave for the join, [samples · kv_heads][most pieces][kPieceLanes]:
/// unnormalised outputs of head_dim, and (maximum, sum).
struct Pieces {
  float* out = nullptr;
  float2* softmax = nullptr;
  int most = 1;
  bool only = false;  // samples without pieces belong to the tensor cores
  __device__ int64_t at(int piece, int lane) const {
    const int64_t unit = static_cast<int64_t>(blockIdx.z) * gridDim.y + blockIdx.y;
    return (unit * most + piece) * kPieceLanes + lane;
  }
};

template <int D>
struct ForwardTile {
  static constexpr int kLanes = D > 128 ? 32 : 64, kKeys = D > 128 ? 16 : D > 64 ? 32 : 64;
  static constexpr int kR = kLanes / 16, kC = kKeys / 16;
  float q[kLanes * (D + 4)], k[kKeys * (D + 4)], v[kKeys * (D + 4)];
  float p[kLanes][kKeys + 4];
};

/// Running maximum and this thread's part of the sum of one lane; x becomes exp(x − maximum). Returns the
/// factor of all that was summed before.
template <int C>
__device__ float online_softmax(float (&x)[C], float& maximum, float& sum) {
  float m = maximum;
#pragma unroll
  for (int j = 0; j < C; ++j) m = fmaxf(m, x[j]);
#pragma unroll
  for (int step = 8; step > 0; step /= 2) m = fmaxf(m, __shfl_xor_sync(~0u, m, step));
  const float shift = m == -INFINITY ? 0 : m;  // nothing seen yet: −∞ − (−∞) is not a number
  const float factor = expf(maximum - shift);
  sum *= factor;
#pragma unroll
  for (int j = 0; j < C; ++j) {
    x[j] = expf(x[j] - shift);
    sum += x[j];
  }
  maximum = m;
  return factor;
}

template <class T, int D>
__global__ __launch_bounds__(kThreads, 2) void forward_kernel(const AttentionArgs<T> a, const Pieces pieces) {
  using Tile = ForwardTile<D>;
  constexpr int R = Tile::kR, C = Tile::kC;
  extern __shared__ float4 shared[];
  Tile& tile = *reinterpret_cast<Tile*>(shared);
  const Sample s = device_sample(a, blockIdx.z);
  const int kv_head = blockIdx.y, tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  const int count = pieces_of(s), index = gridDim.x - 1 - blockIdx.x;  // the longest rows first
  const int lane_begin = count > 1 ? 0 : index * Tile::kLanes, piece = count > 1 ? index : 0;
  if (lane_begin >= s.lanes() || piece >= count || (count == 1 && pieces.only)) return;
  const int key_begin = piece * kPieceKeys,
            key_end = count > 1 ? min(key_begin + kPieceKeys, s.keys) : s.keys;
  const int head_dim = static_cast<int>(a.head_dim), depth = (head_dim + 3) / 4 * 4;

  load_lanes<D>(tile.q, Tile::kLanes, a.q, a.ldq, a.head_dim, s, kv_head, lane_begin);
  Lane lane[R];
  float out[R][Features<D>::kCount] = {}, maximum[R], sum[R];
#pragma unroll
  for (int i = 0; i < R; ++i) {
    lane[i] = Lane(a, s, kv_head, lane_begin + ty * R + i);
    maximum[i] = -INFINITY;
    sum[i] = 0;
  }
  // Warps without a lane of the sample take part in the loads only.
  const bool busy = lane_begin + ty / 2 * 2 * R < s.lanes();

  for (int begin = key_begin; begin < key_end; begin += Tile::kKeys) {
    if (!s.visible(lane_begin, min(lane_begin + Tile::kLanes, s.lanes()), begin, begin + Tile::kKeys))
      continue;
    __syncthreads();
    load_keys<D>(tile.k, Tile::kKeys, a.prefix_k, a.ld_prefix, a.k, a.ldk, a.head_dim, s, kv_head, begin);
    load_keys<D>(tile.v, Tile::kKeys, a.prefix_v, a.ld_prefix, a.v, a.ldv, a.head_dim, s, kv_head, begin);
    __syncthreads();
    if (!busy) continue;
    float x[R][C];
    multiply_rows<D>(tile.q, tile.k, depth, x);
#pragma unroll
    for (int i = 0; i < R; ++i) {
#pragma unroll
      for (int j = 0; j < C; ++j) {
        const int key = begin + tx + 16 * j;
        x[i][j] = lane[i].sees(key) ? lane[i].score(a, x[i][j], key) : -INFINITY;
      }
      const float factor = online_softmax(x[i], maximum[i], sum[i]);
#pragma unroll
      for (int c = 0; c < Features<D>::kCount; ++c) out[i][c] *= factor;
#pragma unroll
      for (int j = 0; j < C; ++j) tile.p[ty * R + i][tx + 16 * j] = x[i][j];
    }
    __syncwarp();
    add_weighted_rows<D, R>(tile.p, tile.v, Tile::kKeys, out);
    __syncwarp();
  }
  if (!busy) return;

  const bool quads = in_quads(a.out, a.ldo, a.head_dim);
#pragma unroll
  for (int i = 0; i < R; ++i) {
#pragma unroll
    for (int step = 8; step > 0; step /= 2) sum[i] += __shfl_xor_sync(~0u, sum[i], step);
    const int l = lane_begin + ty * R + i;
    if (l >= s.lanes()) continue;
    if (count > 1) {
      const int64_t at = pieces.at(piece, l);
      store_row<D>(pieces.out + at * head_dim, out[i], 1.0f, head_dim, false);
      if (tx == 0) pieces.softmax[at] = {maximum[i], sum[i]};
      continue;
    }
    const bool any = lane[i].sees_any();
    const float factor = any ? 1 / sum[i] : 0;
    store_row<D>(a.out + lane[i].token * a.ldo + lane[i].head * a.head_dim, out[i], factor, head_dim, quads);
    if (a.lse && tx == 0)
      a.lse[lane[i].token * a.heads + lane[i].head] = any ? maximum[i] + logf(sum[i]) : -INFINITY;
  }
}

/// Block (lane, key head, sample); a thread owns every 64th feature.
template <class T>
__global__ __launch_bounds__(64) void join_pieces_kernel(const AttentionArgs<T> a, const Pieces pieces) {
  const Sample s = device_sample(a, blockIdx.z);
  const int count = pieces_of(s), l = blockIdx.x;
  if (count == 1 || l >= s.lanes()) return;
  const Lane lane(a, s, blockIdx.y, l);
  float maximum = -INFINITY, sum = 0;
  for (int i = 0; i < count; ++i) maximum = fmaxf(maximum, pieces.softmax[pieces.at(i, l)].x);
  const float shift = maximum == -INFINITY ? 0 : maximum;
  for (int i = 0; i < count; ++i) {
    const float2 x = pieces.softmax[pieces.at(i, l)];
    sum = fmaf(x.y, expf(x.x - shift), sum);
  }
  const bool any = lane.sees_any();
  const float factor = any ? 1 / sum : 0;
  T* row = a.out + lane.token * a.ldo + lane.head * a.head_dim;
  for (int f = threadIdx.x; f < a.head_dim; f += blockDim.x) {
    float total = 0;
    for (int i = 0; i < count; ++i) {
      const int64_t at = pieces.at(i, l);
      total = fmaf(pieces.out[at * a.head_dim + f], expf(pieces.softmax[at].x - shift), total);
    }
    row[f] = rounded<T>(total * factor);
  }
  if (a.lse && threadIdx.x == 0)
    a.lse[lane.token * a.heads + lane.head] = any ? maximum + logf(sum) : -INFINITY;
}

template <class T>
void run(CudaStream& stream, const AttentionArgs<T>& a) {
  check_attention(a);
  Pieces pieces;
  int lanes_in_pieces = 0;
  for (int i = 0; i < a.samples; ++i) {
    const Sample s = host_sample(a, i);
    if (s.lanes() == 0 || pieces_of(s) == 1) continue;
    pieces.most = std::max(pieces.most, pieces_of(s));
    lanes_in_pieces = std::max(lanes_in_pieces, s.lanes());
  }
  if (lanes_in_pieces > 0) {
    const int64_t rows = a.samples * a.kv_heads * pieces.most * kPieceLanes;
    pieces.softmax = reinterpret_cast<float2*>(stream.scratch<float>(rows * (2 + a.head_dim)));
    pieces.out = reinterpret_cast<float*>(pieces.softmax + rows);
  }
  if constexpr (sizeof(T) == 2) {
    pieces.only = takes_tensor_cores(a);
    if (pieces.only) attention_mma(stream, a);
  }
  for_head_dim(a.head_dim, [&]<int D>() {
    const dim3 grid = attention_grid(a, [&](const Sample& s) -> int64_t {
      if (s.lanes() == 0 || (pieces.only && pieces_of(s) == 1)) return 0;
      return std::max<int64_t>(pieces_of(s), blocks_for(s.lanes(), ForwardTile<D>::kLanes));
    });
    launch_attention("attention", forward_kernel<T, D>, grid, kThreads, sizeof(ForwardTile<D>), stream, a,
                     pieces);
  });
  const dim3 grid =
      attention_grid(a, [](const Sample& s) { return s.lanes() == 0 || pieces_of(s) == 1 ? 0 : s.lanes(); });
  launch_attention("attention (join)", join_pieces_kernel<T>, grid, 64, 0, stream, a, pieces);
}

}  // namespace
}  // namespace cuda_attention

void attention(CudaStream& stream, const AttentionArgs<float>& args) {
  cuda_attention::run(stream, args);
}
void attention(CudaStream& stream, const AttentionArgs<BF16>& args) {
  cuda_attention::run(stream, args);
}
void attention(CudaStream& stream, const AttentionArgs<F16>& args) {
  cuda_attention::run(stream, args);
}

}  // namespace ft
