// The gradient of attention's bias by distance: ds summed over all pairs of a head and a distance, without
// atomics. Only where the bias is trained; scores and dp are formed once more for it, in float, 4·D
// operations a visible pair.
//
// A block takes a tile of lanes over all keys, as the kernel of dq does, and keeps sums of its own in
// scratch, [samples, lane tiles, heads, 2 · span + 1]. Of each tile of ds a thread sums a diagonal, which is
// a distance, and then a thread a bucket the distances that are clamped to it. A second kernel adds the
// blocks' sums of a sample, and those of the samples, in order.
#include "kernels/cuda/attention_grad.cuh"

namespace ft::cuda_attention {
namespace {

template <int D>
struct BiasTile : GradTile<D, 1> {
  float diagonal[GradShape<D>::kResident + GradShape<D>::kWalked];
};

template <class T>
dim3 lane_grid(const AttentionArgs<T>& a, int tile) {
  return attention_grid(a, [=](const Sample& s) { return blocks_for(s.lanes(), tile); });
}
template <class T>
__host__ __device__ int64_t buckets(const AttentionArgs<T>& a) {
  return 2 * a.bias_span + 1;
}

/// Block (lane tile, key head, sample).
template <class T, int D>
__global__ __launch_bounds__(kThreads, 2) void bias_kernel(const AttentionGradArgs<T> g, const float* delta,
                                                           float* sums) {
  using Tile = BiasTile<D>;
  constexpr int R = Tile::kR;
  extern __shared__ float4 shared[];
  Tile& tile = *reinterpret_cast<Tile*>(shared);
  const AttentionArgs<T>& a = g.forward;
  const Sample s = device_sample(a, blockIdx.z);
  const int kv_head = blockIdx.y;
  const int lane_begin = blockIdx.x * Tile::kResident;
  if (lane_begin >= s.lanes()) return;
  const int lane_end = min(lane_begin + Tile::kResident, s.lanes());

  const int span = static_cast<int>(a.bias_span);
  const int64_t block = static_cast<int64_t>(blockIdx.z) * gridDim.x + blockIdx.x;
  float* mine = sums + (block * a.heads + kv_head * s.group) * buckets(a);
  for (int64_t at = threadIdx.x; at < s.group * buckets(a); at += kThreads) mine[at] = 0;

  const ResidentLanes<R> lanes(a, s, kv_head, lane_begin + static_cast<int>(threadIdx.x) / 16 * R, delta);
  const int first_query = lane_begin / s.group, last_query = (lane_end - 1) / s.group;
  walk_keys<D>(tile, g, s, kv_head, lane_begin, [&](int begin) {
    store_ds<D>(tile, a, lanes, begin);
    // The tile's distances; a query's diagonal starts one column further right than the query's before it.
    const int nearest = begin - s.own(last_query);
    const int farthest = begin + Tile::kWalked - 1 - s.own(first_query);
    const int low = min(max(nearest, -span), span), high = min(max(farthest, -span), span);
    const int distance = nearest + static_cast<int>(threadIdx.x),
              bucket = low + static_cast<int>(threadIdx.x);
    for (int h = 0; h < s.group; ++h) {
      __syncthreads();
      if (distance <= farthest) {
        float sum = 0;
        for (int i = first_query; i <= last_query; ++i) {
          const int row = i * s.group + h - lane_begin, column = distance + s.own(i) - begin;
          if (row >= 0 && row < lane_end - lane_begin && column >= 0 && column < Tile::kWalked)
            sum += tile.weights[0][row][column];
        }
        tile.diagonal[threadIdx.x] = sum;
      }
      __syncthreads();
      if (bucket <= high) {
        const int from = bucket == low ? nearest : bucket, to = bucket == high ? farthest : bucket;
        float sum = 0;
        for (int d = from; d <= to; ++d) sum += tile.diagonal[d - nearest];
        mine[h * buckets(a) + span + bucket] += sum;
      }
    }
  });
}

/// A thread a head and bucket.
template <class T>
__global__ __launch_bounds__(kThreads) void bias_sum_kernel(const AttentionGradArgs<T> g, const float* sums,
                                                            int tiles, int tile) {
  const AttentionArgs<T>& a = g.forward;
  const int64_t size = a.heads * buckets(a), at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (at >= size) return;
  float total = g.drelative_bias[at];
  for (int sample = 0; sample < a.samples; ++sample) {
    const Sample s = device_sample(a, sample);
    const float* of_sample = sums + static_cast<int64_t>(sample) * tiles * size + at;
    float sum = 0;
    for (int t = 0; t * tile < s.lanes(); ++t) sum += of_sample[t * size];
    total += sum;
  }
  g.drelative_bias[at] = total;
}

}  // namespace

template <class T>
int64_t attention_bias_sums(const AttentionGradArgs<T>& g) {
  const AttentionArgs<T>& a = g.forward;
  if (!a.relative_bias || !g.drelative_bias) return 0;
  int64_t tiles = 0;
  for_head_dim(a.head_dim, [&]<int D>() { tiles = lane_grid(a, GradShape<D>::kResident).x; });
  return a.samples * tiles * a.heads * buckets(a);
}

template <class T>
void attention_bias_grad(CudaStream& stream, const AttentionGradArgs<T>& g, const float* delta, float* sums) {
  const AttentionArgs<T>& a = g.forward;
  for_head_dim(a.head_dim, [&]<int D>() {
    constexpr int kTile = GradShape<D>::kResident;
    const dim3 grid = lane_grid(a, kTile);
    launch_attention("attention_grad (bias)", bias_kernel<T, D>, grid, kThreads, sizeof(BiasTile<D>), stream,
                     g, delta, sums);
    const dim3 blocks(static_cast<unsigned>(blocks_for(a.heads * buckets(a), kThreads)));
    launch_attention("attention_grad (bias sums)", bias_sum_kernel<T>, blocks, kThreads, 0, stream, g, sums,
                     static_cast<int>(grid.x), kTile);
  });
}

#define FT_INSTANTIATE(T)                                            \
  template int64_t attention_bias_sums(const AttentionGradArgs<T>&); \
  template void attention_bias_grad(CudaStream&, const AttentionGradArgs<T>&, const float*, float*);
FT_INSTANTIATE(float)
FT_INSTANTIATE(BF16)
FT_INSTANTIATE(F16)
#undef FT_INSTANTIATE

}  // namespace ft::cuda_attention
