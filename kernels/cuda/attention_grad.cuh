// What the kernels of attention's backward share: tiles in shared memory, p and ds of a pair.
#pragma once

#include "kernels/cuda/attention_tile.cuh"

namespace ft::cuda_attention {

/// Lanes and keys a tile in backward: four operands of D features and the weights stay within 99 KB.
template <int D>
struct GradShape {
  static constexpr int kResident = D > 128 ? 16 : D > 64 ? 32 : 64, kWalked = D > 128 ? 16 : 32;
  static constexpr int kR = kResident / 16, kC = kWalked / 16;
};

template <int D, int kWeights>
struct GradTile : GradShape<D> {
  using Shape = GradShape<D>;
  float resident[2][Shape::kResident * (D + 4)], walked[2][Shape::kWalked * (D + 4)];
  float weights[kWeights][Shape::kResident][Shape::kWalked + 4];
};

/// The resident lanes of a thread, with their lse and δ.
template <int R>
struct ResidentLanes {
  Lane lane[R];
  float lse[R], delta[R];

  template <class T>
  __device__ ResidentLanes(const AttentionArgs<T>& a, const Sample& s, int kv_head, int first,
                           const float* deltas) {
    const int q_first = a.q_bounds.device[0];
#pragma unroll
    for (int i = 0; i < R; ++i) {
      lane[i] = Lane(a, s, kv_head, first + i);
      lse[i] = delta[i] = 0;
      if (first + i >= s.lanes()) continue;
      lse[i] = a.lse[lane[i].token * a.heads + lane[i].head];
      delta[i] = deltas[(lane[i].token - q_first) * a.heads + lane[i].head];
    }
  }
};

/// Scores and dp of a pair to p and ds.
template <class T>
__device__ void probability_and_ds(const AttentionArgs<T>& a, const Lane& lane, int key, float lse,
                                   float delta, float& score, float& dp) {
  const float p = lane.sees(key) ? expf(lane.score(a, score, key) - lse) : 0.0f;
  dp = lane.sees(key) ? p * (dp - delta) : 0.0f;
  score = p;
}

/// Brings the lanes [lane_begin, lane_begin + kResident) of q and dout to tile.resident, then calls
/// f(begin) for every tile of keys that they see, in order, with its keys and values in tile.walked.
template <int D, class Tile, class T, class F>
__device__ void walk_keys(Tile& tile, const AttentionGradArgs<T>& g, const Sample& s, int kv_head,
                          int lane_begin, F&& f) {
  const AttentionArgs<T>& a = g.forward;
  const int lane_end = min(lane_begin + Tile::kResident, s.lanes());
  load_lanes<D>(tile.resident[0], Tile::kResident, a.q, a.ldq, a.head_dim, s, kv_head, lane_begin);
  load_lanes<D>(tile.resident[1], Tile::kResident, g.dout, a.ldo, a.head_dim, s, kv_head, lane_begin);
  for (int begin = 0; begin < s.keys; begin += Tile::kWalked) {
    if (!s.visible(lane_begin, lane_end, begin, begin + Tile::kWalked)) continue;
    __syncthreads();
    load_keys<D>(tile.walked[0], Tile::kWalked, a.prefix_k, a.ld_prefix, a.k, a.ldk, a.head_dim, s, kv_head,
                 begin);
    load_keys<D>(tile.walked[1], Tile::kWalked, a.prefix_v, a.ld_prefix, a.v, a.ldv, a.head_dim, s, kv_head,
                 begin);
    __syncthreads();
    f(begin);
  }
}

/// ds of a thread's pairs of resident lanes and the walked keys from `begin` on, to tile.weights[0].
template <int D, class Tile, class T>
__device__ void store_ds(Tile& tile, const AttentionArgs<T>& a, const ResidentLanes<Tile::kR>& lanes,
                         int begin) {
  constexpr int R = Tile::kR, C = Tile::kC;
  const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  const int depth = (static_cast<int>(a.head_dim) + 3) / 4 * 4;
  float p[R][C], ds[R][C];
  multiply_rows<D>(tile.resident[0], tile.walked[0], depth, p);
  multiply_rows<D>(tile.resident[1], tile.walked[1], depth, ds);
#pragma unroll
  for (int i = 0; i < R; ++i)
#pragma unroll
    for (int j = 0; j < C; ++j) {
      probability_and_ds(a, lanes.lane[i], begin + tx + 16 * j, lanes.lse[i], lanes.delta[i], p[i][j],
                         ds[i][j]);
      tile.weights[0][ty * R + i][tx + 16 * j] = ds[i][j];
    }
}

/// Floats of scratch that attention_bias_grad() needs; 0 where the bias has no gradient.
template <class T>
int64_t attention_bias_sums(const AttentionGradArgs<T>& g);
/// Adds to g.drelative_bias, from δ.
template <class T>
void attention_bias_grad(CudaStream& stream, const AttentionGradArgs<T>& g, const float* delta, float* sums);

}  // namespace ft::cuda_attention
