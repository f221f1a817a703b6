// Scaled dot-product attention over ragged samples, grouped queries, an optional per-layer prefix of keys and
// values that every sample sees, causal or not, optional window, ALiBi and bias by distance.
//
//   s[i, j] = scale · q_i · k_j (+ slope_h · (j − i)) (+ bias[h, j − i]),   p = softmax over the visible j,
//   o_i = Σ p[i, j] v_j
//
// Sample s has queries [q_bounds[s], q_bounds[s+1]) and keys [kv_begin[s], kv_end[s]) of the k/v buffers;
// causal masks are aligned at the end (query i of n_q sees keys j ≤ n_kv − n_q + i), so the same op serves
// training (n_q = n_kv) and generation from a cache. Prefix rows come before key 0 and are always visible.
// Saved for backward: out and lse [tokens, heads] (log-sum-exp of each row of s). No [n_q, n_kv] buffer
// survives. A row's result does not depend on other samples, on the grouping of samples, or on threads; the
// gradients of prefix and bias are summed over samples in order, each sample's sum formed by itself.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/autograd/fwd.h"
#include "engine/core/backend_streams.h"
#include "engine/core/index_view.h"
#include "engine/core/tensor.h"

namespace ft {

template <class T>
struct AttentionArgs {
  int32_t samples = 0;
  IndexView q_bounds;          // [samples + 1]
  IndexView kv_begin, kv_end;  // [samples], rows of k and v
  bool kv_end_is_most =
      false;  // the host's kv_end are only upper bounds of the device's: the launch serves both
  int64_t heads = 0, kv_heads = 0, head_dim = 0;     // heads is a multiple of kv_heads; head_dim any ≥ 1
  const T *q = nullptr, *k = nullptr, *v = nullptr;  // [tokens, heads·D], [kv rows, kv_heads·D] twice
  int64_t ldq = 0, ldk = 0, ldv = 0;                 // row strides (columns of a fused q|k|v are allowed)
  int64_t prefix = 0;                                // P
  const T *prefix_k = nullptr, *prefix_v = nullptr;  // [P, kv_heads·D], row stride ld_prefix
  int64_t ld_prefix = 0;
  Wide<T> scale = 1;
  bool causal = true;
  int64_t window = 0;  // > 0: query i sees only the last `window` keys up to its own position
  const Wide<T>* alibi_slopes = nullptr;  // [heads] or null; adds slope · (key position), as BLOOM does
  // [heads, 2 · bias_span + 1] or null: what is added for each distance key − query, which is clamped to
  // ±bias_span first (T5's buckets, spelt out).
  const Wide<T>* relative_bias = nullptr;
  int64_t bias_span = 0;
  T* out = nullptr;  // [tokens, heads·D], row stride ldo
  int64_t ldo = 0;
  Wide<T>* lse = nullptr;  // [tokens, heads]; may be null when no backward follows
};

template <class T>
struct AttentionGradArgs {
  AttentionArgs<T> forward;                       // out and lse as the forward left them
  const T* dout = nullptr;                        // [tokens, heads·D], row stride ldo
  T *dq = nullptr, *dk = nullptr, *dv = nullptr;  // overwritten; row strides ldq, ldk, ldv
  T *dprefix_k = nullptr, *dprefix_v = nullptr;   // added to; null when the prefix is not trained
  Wide<T>* drelative_bias = nullptr;              // added to; null when the bias is not trained
};

void attention(CpuStream&, const AttentionArgs<float>&);
void attention(CpuStream&, const AttentionArgs<double>&);
void attention(CudaStream&, const AttentionArgs<float>&);
void attention(CudaStream&, const AttentionArgs<BF16>&);
void attention(CudaStream&, const AttentionArgs<F16>&);
void attention_grad(CpuStream&, const AttentionGradArgs<float>&);
void attention_grad(CpuStream&, const AttentionGradArgs<double>&);
void attention_grad(CudaStream&, const AttentionGradArgs<float>&);
void attention_grad(CudaStream&, const AttentionGradArgs<BF16>&);
void attention_grad(CudaStream&, const AttentionGradArgs<F16>&);

// ---- differentiable

struct AttentionOptions {
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  double scale = 1;
  bool causal = true;
  int64_t window = 0;
  Tensor alibi_slopes;  // [heads] in the compute type's wide type, or undefined
};

/// Columns [column, column + heads · head_dim) of a value [rows, features]: all of it, or a part of a fused
/// q|k|v.
struct HeadColumns;

/// Self-attention of the pass's samples (keys are the samples' own tokens) after an optional prefix of keys
/// and values [P, kv_heads · D], values of the graph too, which lie in rows of one stride; so may be a bias
/// by distance [heads, 2 · span + 1] in the wide type. Returns [tokens, heads · D].
Var attention(Tape&, const HeadColumns& q, const HeadColumns& k, const HeadColumns& v,
              const HeadColumns* prefix_k, const HeadColumns* prefix_v, const AttentionOptions& options,
              const Var* relative_bias = nullptr);

/// Generation: keys and values are rows [kv_begin[s], kv_end[s]) of a cache; nothing is recorded.
Tensor cached_attention(Tape&, const HeadColumns& q, const Tensor& k, const Tensor& v,
                        const std::vector<int32_t>& kv_begin, const std::vector<int32_t>& kv_end,
                        const AttentionOptions& options, const Tensor& relative_bias = {});

}  // namespace ft
