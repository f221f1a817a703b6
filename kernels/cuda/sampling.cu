// The next token of a row of logits, a block a row: a handful of passes over its scores, which stay in L2
// (float32, in scratch), and no sort. Where top-k and top-p cut is found by a radix selection: four rounds
// over the scores' 8-bit digits, each adding whole numbers to 256 bins, so no order of additions shows. A
// draw walks the vocabulary in tiles until the weights kept reach the drawn one.
#include "engine/ops/sampling.h"

#include "kernels/cuda/launch.h"
#include "kernels/cuda/pack.cuh"
#include "kernels/cuda/philox.cuh"
#include "kernels/cuda/reduce.cuh"

namespace ft {
namespace {

// Loops over the vocabulary are not unrolled: a weight takes many registers, and other warps hide the
// latency.
constexpr int kThreads = 512, kWarps = kThreads / kWarp, kBins = 256;
static_assert(kThreads >= kBins);
constexpr float kMost = 3.402823466e+38f;

struct Lower {
  template <class V>
  __device__ __forceinline__ V operator()(V a, V b) const {
    return a < b ? a : b;
  }
};

__device__ __forceinline__ float bounded(float score) {
  return fminf(fmaxf(score, -kMost), kMost);
}

/// sampling_weight() of sampling.h, operation by operation.
__device__ __forceinline__ uint64_t weight_of(float below) {
  if (!(below > -29.0f)) return 0;
  const double x = static_cast<double>(below);
  const double n = floor(__dadd_rn(__dmul_rn(x, 0x1.71547652b82fep+0), 0.5));
  const double r =
      __dsub_rn(__dsub_rn(x, __dmul_rn(n, 0x1.62e42fee00000p-1)), __dmul_rn(n, 0x1.a39ef35793c76p-33));
  const double over_factorial[] = {1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120,
                                   1.0 / 24,      1.0 / 6,      1.0 / 2,     1.0,        1.0};
  double power = 0;
#pragma unroll
  for (const double term : over_factorial) power = __dadd_rn(__dmul_rn(power, r), term);
  const double unit = __longlong_as_double(static_cast<long long>(1023 + 40 + static_cast<int>(n)) << 52);
  return static_cast<uint64_t>(__dadd_rn(__dmul_rn(power, unit), 0.5));
}

/// Grows with the score; −0 counts as 0.
__device__ __forceinline__ uint32_t key_of(float score) {
  const uint32_t bits = __float_as_uint(score == 0 ? 0.0f : score);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/// Σ over the threads before this one; `total`: over all. Every thread calls; two barriers.
__device__ __forceinline__ uint64_t sum_before(uint64_t mine, uint64_t& total) {
  __shared__ uint64_t of_warp[kWarps];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  uint64_t up_to = mine;  // over the lanes, this one included
#pragma unroll
  for (int distance = 1; distance < kWarp; distance *= 2) {
    const uint64_t other = __shfl_up_sync(0xffffffffu, up_to, distance);
    if (lane >= distance) up_to += other;
  }
  if (lane == kWarp - 1) of_warp[warp] = up_to;
  __syncthreads();
  uint64_t before = up_to - mine;
  total = 0;
  for (int w = 0; w < kWarps; ++w) {
    if (w < warp) before += of_warp[w];
    total += of_warp[w];
  }
  __syncthreads();
  return before;
}

struct Cut {
  uint32_t key;
  uint64_t below, at;  // weight of what lies below the key, and at it
};

/// The lowest key at which the weights summed from below exceed `target` (which is less than all of them).
/// add(i, f) calls f(key, weight) where element i counts.
template <class Add>
__device__ Cut select(int64_t count, uint64_t target, const Add& add) {
  __shared__ unsigned long long bins[kBins];
  __shared__ uint32_t found;
  __shared__ uint64_t below_found;
  Cut cut = {0, 0, 0};
  for (int shift = 24; shift >= 0; shift -= 8) {
    if (threadIdx.x < kBins) bins[threadIdx.x] = 0;
    __syncthreads();
#pragma unroll 1
    for (int64_t i = threadIdx.x; i < count; i += kThreads)
      add(i, [&](uint32_t key, uint64_t weight) {
        if (shift == 24 || key >> (shift + 8) == cut.key >> (shift + 8))
          atomicAdd(&bins[key >> shift & 255u], static_cast<unsigned long long>(weight));
      });
    __syncthreads();
    const uint64_t mine = threadIdx.x < kBins ? bins[threadIdx.x] : 0;
    uint64_t total;
    const uint64_t before = cut.below + sum_before(mine, total);
    if (before <= target && before + mine > target) {
      found = threadIdx.x;
      below_found = before;
    }
    __syncthreads();
    cut.key |= found << shift;
    cut.below = below_found;
    cut.at = bins[found];
    __syncthreads();
  }
  return cut;
}

/// Which tokens may be drawn: those above a score, and of those at it the ids up to `last`; and a least
/// weight.
struct Kept {
  uint32_t key = 0;
  int64_t last = INT64_MAX;
  uint64_t least_weight = 0;
  __device__ __forceinline__ bool holds(uint32_t k, int64_t id) const {
    return k > key || (k == key && id <= last);
  }
};

__device__ Kept keep(const float* scores, int64_t vocab, float top, const SamplingRule& rule) {
  Kept kept;
  if (rule.top_k > 0 && rule.top_k < vocab)
    kept.key = select(vocab, static_cast<uint64_t>(vocab - rule.top_k), [&](int64_t i, auto f) {
                 f(key_of(scores[i]), 1);
               }).key;
  if (rule.tail > 0) {
    const auto weights = [&](int64_t i, auto f) {
      const uint32_t key = key_of(scores[i]);
      if (key >= kept.key) f(key, weight_of(scores[i] - top));
    };
    uint64_t total = 0;
#pragma unroll 1
    for (int64_t i = threadIdx.x; i < vocab; i += kThreads)
      weights(i, [&](uint32_t, uint64_t weight) { total += weight; });
    total = block_sum<kThreads>(total);
    // The likeliest token stays.
    const auto share = static_cast<uint64_t>(
        __dmul_rn(static_cast<double>(rule.tail), __ull2double_rn(static_cast<unsigned long long>(total))));
    const Cut cut = select(vocab, min(share, total - 1), weights);
    const uint64_t here = min(share, total - 1) - cut.below;
    // Among equals the highest ids go first.
    const auto equals = [&](int64_t i, auto f) {
      if (key_of(scores[i]) == cut.key) f(static_cast<uint32_t>(i), 1);
    };
    uint64_t count = 0, one = 0;
#pragma unroll 1
    for (int64_t i = threadIdx.x; i < vocab; i += kThreads)
      equals(i, [&](uint32_t id, uint64_t) {
        ++count;
        one = weight_of(scores[id] - top);
      });
    count = block_sum<kThreads>(count);
    one = block_reduce<kThreads>(one, [](uint64_t a, uint64_t b) { return a > b ? a : b; });
    const uint64_t staying = count - here / one;
    kept.key = cut.key;
    if (staying < count) kept.last = select(vocab, staying - 1, equals).key;
  }
  kept.least_weight = rule.least_weight;
  return kept;
}

/// The first id at which the weights kept, summed in the order of ids, exceed the drawn one.
__device__ int32_t draw(const float* scores, int64_t vocab, float top, const Kept& kept, uint64_t key,
                        uint32_t place) {
  const auto weight = [&](int64_t i) -> uint64_t {
    if (i >= vocab || !kept.holds(key_of(scores[i]), i)) return 0;
    const uint64_t w = weight_of(scores[i] - top);
    return w < kept.least_weight ? 0 : w;
  };
  uint64_t total = 0;
#pragma unroll 1
  for (int64_t i = threadIdx.x; i < vocab; i += kThreads) total += weight(i);
  total = block_sum<kThreads>(total);
  const uint4 words = dropout_words(key, 0, 0, 0, place);
  const uint64_t bits = (uint64_t{words.x} << 32 | words.y) >> 11;  // of 2^53
  const uint64_t target = __umul64hi(bits, total) << 11 | (bits * total) >> 53;
  __shared__ int32_t chosen;
  uint64_t passed = 0;
#pragma unroll 1
  for (int64_t tile = 0; tile < vocab && passed <= target; tile += kThreads) {
    const uint64_t mine = weight(tile + threadIdx.x);
    uint64_t of_tile;
    const uint64_t before = passed + sum_before(mine, of_tile);
    if (before <= target && before + mine > target) chosen = static_cast<int32_t>(tile + threadIdx.x);
    passed += of_tile;
  }
  __syncthreads();
  return chosen;
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    next_token_kernel(int64_t vocab, const T* logits, float* all_scores, SamplingRule rule,
                      const int32_t* length, const int32_t* key, int32_t* history, int64_t ld_history,
                      const int32_t* slot, int32_t* chosen) {
  const int64_t row = blockIdx.x;
  logits += row * vocab;
  const bool in_place = !rule.sample && rule.penalty == 1;  // the scores are the logits
  float* scores = all_scores + (in_place ? 0 : row * vocab);
  const auto warmed = [&](float score) {
    return rule.sample && rule.temperature != 1 ? bounded(__fdiv_rn(score, rule.temperature)) : score;
  };
  int32_t bad = INT32_MAX, any = 0, best = INT32_MAX;
  float top = -INFINITY;
  const auto see = [&](int64_t i, float score) {
    if (score > top) {
      top = score;
      best = static_cast<int32_t>(i);
    }
  };
#pragma unroll 1
  for (int64_t i = threadIdx.x; i < vocab; i += kThreads) {
    const float logit = value(logits[i]);
    if (!(logit <= kMost) && bad == INT32_MAX) bad = static_cast<int32_t>(i);
    any |= logit >= -kMost;
    if (in_place)
      see(i, logit);
    else
      scores[i] = warmed(logit);
  }
  bad = block_reduce<kThreads>(bad, Lower());
  any = block_sum<kThreads>(any);
  const int32_t places = length[row];
  int32_t* text = history + (history ? slot[row] * ld_history : 0);
  int32_t id = INT32_MIN;
  if (bad != INT32_MAX) {
    id = ~bad;
  } else if (any != 0) {
    if (!in_place) {
      if (rule.penalty != 1) {
        // Reads logits and writes scores: an id that occurs twice is punished once.
#pragma unroll 1
        for (int32_t i = threadIdx.x; i < places; i += kThreads) {
          const int32_t old = text[i];
          if (old < 0 || old >= vocab) continue;
          const float logit = value(logits[old]);
          scores[old] =
              warmed(bounded(logit < 0 ? __fmul_rn(logit, rule.penalty) : __fdiv_rn(logit, rule.penalty)));
        }
      }
      __syncthreads();
#pragma unroll 1
      for (int64_t i = threadIdx.x; i < vocab; i += kThreads) see(i, scores[i]);
    }
    const float row_top = block_reduce<kThreads>(top, Larger());
    best = block_reduce<kThreads>(top == row_top ? best : INT32_MAX, Lower());
    id = best;
    if (rule.sample) {
      const uint64_t random =
          static_cast<uint32_t>(key[2 * row]) | uint64_t{static_cast<uint32_t>(key[2 * row + 1])} << 32;
      id = draw(scores, vocab, row_top, keep(scores, vocab, row_top, rule), random,
                static_cast<uint32_t>(places));
    }
  }
  if (threadIdx.x != 0) return;
  chosen[row] = id;
  if (history && places < ld_history) text[places] = id;
}

template <class T>
void run(CudaStream& s, const NextTokenArgs<T>& a) {
  FT_CHECK(a.rule.penalty == 1 || a.history,
           "[next_token] expected the rows' tokens for a repetition penalty");
  if (a.rows == 0) return;
  const bool in_place = !a.rule.sample && a.rule.penalty == 1;
  float* scores = s.scratch<float>(in_place ? 0 : a.rows * a.vocab);
  next_token_kernel<<<static_cast<unsigned>(a.rows), kThreads, 0, s.handle()>>>(
      a.vocab, a.logits, scores, a.rule, a.length.device, a.key.device, a.history, a.ld_history,
      a.slot.device, a.chosen);
  check_launch("next_token");
}

}  // namespace

void next_token(CudaStream& s, const NextTokenArgs<float>& a) {
  run(s, a);
}
void next_token(CudaStream& s, const NextTokenArgs<BF16>& a) {
  run(s, a);
}
void next_token(CudaStream& s, const NextTokenArgs<F16>& a) {
  run(s, a);
}

}  // namespace ft
