// Attention's speed on the shapes of SmolLM2-135M, GPT-2 and Qwen3-0.6B: median GFLOP/s of forward and
// backward, counting only visible (query, key) pairs: 4·D operations a pair and head forward, 10·D backward.
// Usage: bench_attention [threads]
#include "engine/ops/attention.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <vector>

#include "tests/ops/attention_cases.h"

namespace {

using ft::test::AttentionCase;
using ft::test::AttentionData;

/// Seconds of the wall clock, or of the processor's where one thread works: a busy machine disturbs it less.
double now(bool one_thread) {
  timespec t;
  clock_gettime(one_thread ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// Median seconds of a call; at least five calls and a fifth of a second.
double median_seconds(bool one_thread, const std::function<void()>& f) {
  f();
  std::vector<double> times;
  double total = 0;
  while (times.size() < 5 || total < 0.2) {
    const double start = now(one_thread);
    f();
    times.push_back(now(one_thread) - start);
    total += times.back();
  }
  std::nth_element(times.begin(), times.begin() + static_cast<int64_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

int64_t visible_pairs(const AttentionCase& c) {
  int64_t pairs = 0;
  for (size_t s = 0; s < c.queries.size(); ++s) {
    const int64_t n_q = c.queries[s], n_kv = c.keys.empty() ? n_q : c.keys[s];
    for (int64_t i = 0; i < n_q; ++i) pairs += c.prefix + (c.causal ? n_kv - n_q + i + 1 : n_kv);
  }
  return pairs * c.heads;
}

}  // namespace

int main(int argc, char** argv) {
  ft::ThreadPool pool(argc > 1 ? std::atoi(argv[1]) : ft::ThreadPool::default_threads());
  ft::CpuStream stream(pool);
  struct Model {
    const char* name;
    int64_t heads, kv_heads, head_dim;
  };
  struct Batch {
    const char* name;
    std::vector<int32_t> queries, keys;
  };
  const Model models[] = {{"smollm2", 9, 3, 64}, {"gpt2", 12, 12, 64}, {"qwen3", 16, 8, 128}};
  const Batch batches[] = {{"8 x 32", std::vector<int32_t>(8, 32), {}},
                           {"8 x 128", std::vector<int32_t>(8, 128), {}},
                           {"16 .. 400", {16, 31, 47, 65, 90, 130, 210, 400}, {}},
                           {"1 x 2048", {2048}, {}},
                           {"generate, 1000 keys", {1}, {1000}}};
  fmt::print("{:<10}{:<22}{:>10}{:>10}{:>12}{:>12}  ({} threads, GFLOP/s and ms)\n", "model", "queries",
             "forward", "backward", "forward ms", "backward ms", pool.threads());
  for (const Model& m : models)
    for (const Batch& b : batches) {
      const AttentionCase c{"", b.queries, b.keys, m.heads, m.kv_heads, m.head_dim};
      AttentionData<float> x(c);
      const auto forward_args = x.args();
      const auto grad_args = x.grad_args();
      const double forward =
          median_seconds(pool.threads() == 1, [&] { ft::attention(stream, forward_args); });
      const double backward =
          median_seconds(pool.threads() == 1, [&] { ft::attention_grad(stream, grad_args); });
      if (!std::isfinite(x.out[0]) || !std::isfinite(x.dq[0])) return 1;
      const double gflop = static_cast<double>(visible_pairs(c) * m.head_dim) * 1e-9;
      fmt::print("{:<10}{:<22}{:>10.1f}{:>10.1f}{:>12.3f}{:>12.3f}\n", m.name, b.name, 4 * gflop / forward,
                 10 * gflop / backward, forward * 1e3, backward * 1e3);
    }
}
