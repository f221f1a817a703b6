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

/// Floats of scratch that attention_bias_grad() needs; 0 where the bias has no gradient.
template <class T>
int64_t attention_bias_sums(const AttentionGradArgs<T>& g);
/// Adds to g.drelative_bias, from δ.
template <class T>
void attention_bias_grad(CudaStream& stream, const AttentionGradArgs<T>& g, const float* delta, float* sums);

}  // namespace ft::cuda_attention
