// Which keys a row of attention sees, where its row lies, and the grids over samples.
//
// A lane is one (query, head of the group) pair, lane = query · group + head: the `group` query heads of a
// key head are computed together, so a tile of keys and values serves them all. Keys are counted from the
// first prefix row. Key tiles start at multiples of the tile size and are walked in order; a masked pair adds
// exactly nothing. So a lane's bits depend on the keys that it sees alone, a key's on the lanes that see it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "engine/ops/attention.h"
#include "kernels/cuda/launch.h"

namespace ft::cuda_attention {

/// One sample's bounds, in device code and, with the host's arrays, in launchers.
struct Sample {
  int q_begin, n_q, kv_begin, n_kv, prefix, keys, group, window;  // keys = prefix + n_kv
  bool causal;

  template <class T>
  __host__ __device__ Sample(const AttentionArgs<T>& a, const int32_t* q_bounds, const int32_t* kv_begins,
                             const int32_t* kv_ends, int s)
      : q_begin(q_bounds[s]),
        n_q(q_bounds[s + 1] - q_begin),
        kv_begin(kv_begins[s]),
        n_kv(kv_ends[s] - kv_begin),
        prefix(static_cast<int>(a.prefix)),
        keys(prefix + n_kv),
        group(static_cast<int>(a.heads / a.kv_heads)),
        window(static_cast<int>(a.window)),
        causal(a.causal) {}

  __host__ __device__ int lanes() const { return n_q * group; }
  /// The row that stands at query i's own place; below `prefix` where there are more queries than keys.
  __device__ int own(int i) const { return prefix + n_kv - n_q + i; }
  /// A query whose own place is `own` sees the prefix and the keys [first_of(own), last_of(own)), both of
  /// which grow with it.
  __device__ int first_of(int own) const { return window > 0 ? max(prefix, own + 1 - window) : prefix; }
  __device__ int last_of(int own) const { return causal ? max(prefix, own + 1) : keys; }
  __device__ int first(int i) const { return first_of(own(i)); }
  __device__ int last(int i) const { return last_of(own(i)); }
  /// Does some lane of [lane_begin, lane_end) see some key of [begin, end)?
  __device__ bool visible(int lane_begin, int lane_end, int begin, int end) const {
    return begin < prefix || (end > first(lane_begin / group) && begin < last((lane_end - 1) / group));
  }
  /// Does every lane of [lane_begin, lane_end) see every key of [begin, end)?
  __device__ bool all_visible(int lane_begin, int lane_end, int begin, int end) const {
    return end <= prefix ||
           (end <= last(lane_begin / group) && max(begin, prefix) >= first((lane_end - 1) / group));
  }
};

template <class T>
__device__ Sample device_sample(const AttentionArgs<T>& a, int s) {
  return Sample(a, a.q_bounds.device, a.kv_begin.device, a.kv_end.device, s);
}
template <class T>
Sample host_sample(const AttentionArgs<T>& a, int s) {
  return Sample(a, a.q_bounds.host, a.kv_begin.host, a.kv_end.host, s);
}

/// Generation's few lanes over many keys: such a sample's keys are cut into pieces of kPieceKeys.
constexpr int kPieceKeys = 512, kPieceLanes = 16;
__host__ __device__ inline int pieces_of(const Sample& s) {
  return s.lanes() <= kPieceLanes && s.keys > 2 * kPieceKeys ? (s.keys + kPieceKeys - 1) / kPieceKeys : 1;
}

/// What is added to a score besides its product: for tiles that need nothing of the kind, see all_visible().
template <class T>
__device__ bool has_bias(const AttentionArgs<T>& a) {
  return a.alibi_slopes || a.relative_bias;
}
/// The bias by distance, 0 without one.
template <class T>
__device__ float relative_bias(const AttentionArgs<T>& a, int head, int distance) {
  if (!a.relative_bias) return 0;
  const int span = static_cast<int>(a.bias_span);
  return a
      .relative_bias[static_cast<int64_t>(head) * (2 * span + 1) + span + min(max(distance, -span), span)];
}

/// What a lane's scores need. A lane past the end sees nothing.
struct Lane {
  int token = 0, head = 0;
  int prefix = 0, first = 0, last = 0;
  float own = 0, slope = 0;

  Lane() = default;
  template <class T>
  __device__ Lane(const AttentionArgs<T>& a, const Sample& s, int kv_head, int lane) {
    if (lane >= s.lanes()) return;
    const int i = lane / s.group;
    token = s.q_begin + i;
    head = kv_head * s.group + lane % s.group;
    prefix = s.prefix;
    first = s.first(i);
    last = s.last(i);
    own = static_cast<float>(s.own(i));
    slope = a.alibi_slopes ? a.alibi_slopes[head] : 0.0f;
  }
  __device__ bool sees(int key) const { return key < prefix || (key >= first && key < last); }
  __device__ bool sees_any() const { return prefix > 0 || first < last; }
  /// The score of a product q·k.
  template <class T>
  __device__ float score(const AttentionArgs<T>& a, float product, int key) const {
    const float distance = static_cast<float>(key) - own;
    const float x = fmaf(slope, distance, product * a.scale);
    return a.relative_bias ? x + relative_bias(a, head, static_cast<int>(distance)) : x;
  }
};

/// Start of a lane's row in q, out and their gradients.
__device__ inline int64_t lane_offset(const Sample& s, int kv_head, int lane, int64_t ld, int64_t head_dim) {
  return (s.q_begin + lane / s.group) * ld + (kv_head * s.group + lane % s.group) * head_dim;
}
/// Row of a key in the prefix's or the samples' k or v.
template <class T>
__device__ const T* key_row(const T* prefix, int64_t ld_prefix, const T* own, int64_t ld, const Sample& s,
                            int key) {
  return key < s.prefix ? prefix + key * ld_prefix : own + (s.kv_begin + key - s.prefix) * ld;
}

// ---- launchers

template <class T>
void check_attention(const AttentionArgs<T>& a) {
  FT_CHECK(a.head_dim >= 1 && a.kv_heads >= 1 && a.heads >= 1 && a.heads % a.kv_heads == 0,
           "[attention] expected heads to be a multiple of kv_heads and head_dim >= 1, got {}, {}, {}",
           a.heads, a.kv_heads, a.head_dim);
  FT_CHECK(a.head_dim <= 256, "[attention] expected head_dim <= 256 on a GPU, got {}", a.head_dim);
  FT_CHECK(a.prefix >= 0 && (a.prefix == 0 || (a.prefix_k && a.prefix_v)),
           "[attention] expected {} prefix rows, got none", a.prefix);
  FT_CHECK(a.window == 0 || (a.window > 0 && a.causal),
           "[attention] expected a window of a causal mask, got window {}", a.window);
  FT_CHECK(a.samples <= 65535 && a.kv_heads <= 65535,
           "[attention] expected at most 65535 samples and key heads, got {} and {}", a.samples, a.kv_heads);
  for (int s = 0; s < a.samples; ++s) {
    const Sample sample = host_sample(a, s);
    FT_CHECK(sample.n_q >= 0 && sample.n_kv >= 0,
             "[attention] expected ordered bounds, got {} queries, {} keys in sample {}", sample.n_q,
             sample.n_kv, s);
  }
}

/// Blocks (tiles of the longest sample, key heads, samples); a shorter sample's spare blocks leave at once.
template <class T, class TilesOf>
dim3 attention_grid(const AttentionArgs<T>& a, TilesOf tiles_of) {
  int64_t most = 0;
  for (int s = 0; s < a.samples; ++s) most = std::max<int64_t>(most, tiles_of(host_sample(a, s)));
  return {static_cast<unsigned>(most), static_cast<unsigned>(a.kv_heads), static_cast<unsigned>(a.samples)};
}

/// Launches nothing for an empty grid. `bytes` of shared memory may exceed 48 KB, up to the 99 KB that every
/// device since sm_80 has.
template <class... Parameters, class... Args>
void launch_attention(const char* op, void (*kernel)(Parameters...), dim3 grid, int threads, size_t bytes,
                      const CudaStream& s, const Args&... args) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  FT_CHECK(bytes <= 99 * 1024, "[{}] expected at most 99 KB of shared memory, got {} bytes", op, bytes);
  if (bytes > 48 * 1024)
    check_cuda(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
        op);
  kernel<<<grid, threads, bytes, s.handle()>>>(args...);
  check_launch(op);
}

}  // namespace ft::cuda_attention
