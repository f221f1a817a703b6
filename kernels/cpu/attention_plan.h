// How attention is cut into tasks, and which keys a query sees. Plain C++, shared by all instruction sets.
//
// A lane is one (query, head of the group) pair: the `group` = heads / kv_heads query heads that share a key
// head are computed together, lane = query · group + head. A unit is a range of lanes of one sample under one
// key head. Units are cut by shape alone, dearest first, and tiny ones share a task.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/core/check.h"
#include "engine/ops/attention.h"

namespace ft {

/// Lanes that the forward pass carries through the key blocks together, and the backward pass likewise:
/// enough to reuse a block in L1, few enough that their queries and outputs stay in L2. A multiple of every
/// tile's width.
constexpr int64_t kUnitLanes = 128, kGradLanes = 64;

/// Keys are counted from the first prefix row: row j < prefix is a prefix row, the others are the sample's
/// own. Query i sees every prefix row and the rows [first(i), last(i)).
struct AttentionSample {
  int64_t q_begin = 0, n_q = 0, kv_begin = 0, n_kv = 0;
  int64_t prefix = 0, keys = 0;  // keys = prefix + n_kv
  int64_t group = 1, window = 0;
  bool causal = true;

  template <class T>
  AttentionSample(const AttentionArgs<T>& a, int32_t s)
      : q_begin(a.q_bounds[s]),
        n_q(a.q_bounds[s + 1] - q_begin),
        kv_begin(a.kv_begin[s]),
        n_kv(a.kv_end[s] - kv_begin),
        prefix(a.prefix),
        keys(prefix + n_kv),
        group(a.heads / a.kv_heads),
        window(a.window),
        causal(a.causal) {}

  /// The row that stands at query i's own place; below `prefix` where there are more queries than keys.
  int64_t own(int64_t i) const { return prefix + n_kv - n_q + i; }
  int64_t first(int64_t i) const { return window > 0 ? std::max(prefix, own(i) + 1 - window) : prefix; }
  int64_t last(int64_t i) const { return causal ? std::max(prefix, own(i) + 1) : keys; }
  /// Visible (query, key) pairs of the lanes [begin, end), within rounding.
  int64_t cost(int64_t begin, int64_t end) const {
    if (begin >= end) return 0;
    const int64_t i0 = begin / group, i1 = (end - 1) / group;
    const int64_t seen = last(i0) - first(i0) + last(i1) - first(i1);
    return (end - begin) * (prefix + std::max<int64_t>(seen, 0) / 2);
  }
};

struct AttentionUnit {
  int32_t sample = 0;
  int64_t kv_head = 0, lane_begin = 0, lane_end = 0;
};

struct AttentionPlan {
  std::vector<AttentionUnit> units;
  std::vector<int64_t> task_begin = {0};  // task t owns the units [task_begin[t], task_begin[t + 1])
  int64_t tasks() const { return static_cast<int64_t>(task_begin.size()) - 1; }
};

/// Cuts each sample into units of at most `lanes_per_unit` lanes; 0 keeps a sample whole.
template <class T>
AttentionPlan plan_attention(const AttentionArgs<T>& a, int64_t lanes_per_unit) {
  // Multiply-adds a task: some 10 µs of work, well above the cost of waking a thread.
  constexpr int64_t kTaskProducts = int64_t{1} << 18;
  struct Part {
    int32_t sample;
    int64_t begin, end, cost;
  };
  std::vector<Part> parts;
  for (int32_t s = 0; s < a.samples; ++s) {
    const AttentionSample sample(a, s);
    FT_CHECK(sample.n_q >= 0 && sample.n_kv >= 0,
             "[attention] expected ordered bounds, got {} queries, {} keys in sample {}", sample.n_q,
             sample.n_kv, s);
    const int64_t lanes = sample.n_q * sample.group;
    const int64_t step = lanes_per_unit > 0 ? lanes_per_unit : std::max<int64_t>(lanes, 1);
    int64_t begin = 0;
    do {
      const int64_t end = std::min(begin + step, lanes);
      // Even a part without a pair has rows to write.
      const int64_t cost = (sample.cost(begin, end) + end - begin + sample.n_kv) * a.head_dim * 2;
      parts.push_back({s, begin, end, cost});
      begin = end;
    } while (begin < lanes);
  }
  std::stable_sort(parts.begin(), parts.end(), [](const Part& x, const Part& y) { return x.cost > y.cost; });
  AttentionPlan plan;
  plan.units.reserve(parts.size() * static_cast<size_t>(a.kv_heads));
  int64_t products = 0;
  for (const Part& p : parts) {
    for (int64_t h = 0; h < a.kv_heads; ++h) {
      plan.units.push_back({p.sample, h, p.begin, p.end});
      products += p.cost;
      if (products < kTaskProducts) continue;
      plan.task_begin.push_back(static_cast<int64_t>(plan.units.size()));
      products = 0;
    }
  }
  const auto units = static_cast<int64_t>(plan.units.size());
  if (plan.task_begin.back() < units) plan.task_begin.push_back(units);
  return plan;
}

template <class T>
void check_attention(const AttentionArgs<T>& a) {
  FT_CHECK(a.head_dim >= 1 && a.kv_heads >= 1 && a.heads >= 1 && a.heads % a.kv_heads == 0,
           "[attention] expected heads to be a multiple of kv_heads and head_dim >= 1, got {}, {}, {}",
           a.heads, a.kv_heads, a.head_dim);
  FT_CHECK(a.prefix >= 0 && (a.prefix == 0 || (a.prefix_k && a.prefix_v)),
           "[attention] expected {} prefix rows, got none", a.prefix);
  FT_CHECK(a.window == 0 || (a.window > 0 && a.causal),
           "[attention] expected a window of a causal mask, got window {}", a.window);
}

}  // namespace ft
