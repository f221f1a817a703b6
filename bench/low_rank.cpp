// The thin products of LoRA beside the sgemm of OpenBLAS and BLIS on the same operands: GFLOP/s, one thread
// by processor time, several by the clock on the wall; least time of the rounds.
//
//   bench_low_rank [threads] [rounds]
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "bench/rivals.h"
#include "engine/core/memory.h"
#include "engine/ops/low_rank.h"

namespace ft::bench {
namespace {

std::vector<float> numbers(int64_t n) {
  std::vector<float> v(static_cast<size_t>(n));
  uint32_t state = 1;
  for (float& x : v) {
    state = state * 1664525u + 1013904223u;
    x = static_cast<float>(static_cast<int32_t>(state)) * 0x1p-31f;
  }
  return v;
}

double least_seconds(int threads, int rounds, double flops, const std::function<void()>& run) {
  const auto now = [&] {
    timespec t{};
    clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  const int repeats = std::max(1, static_cast<int>(1e8 / flops));
  double best = 1e9;
  for (int r = 0; r < rounds; ++r) {
    const double start = now();
    for (int i = 0; i < repeats; ++i) run();
    best = std::min(best, (now() - start) / repeats);
  }
  return best;
}

int run(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1, rounds = argc > 2 ? std::atoi(argv[2]) : 20;
  ThreadPool pool(threads);
  CpuStream stream(pool);
  const std::vector<Rival> rivals = find_rivals("");
  for (const Rival& r : rivals) r.threads(threads);
  std::printf("GFLOP/s        T     C   r      ours");
  for (const Rival& r : rivals) std::printf(" %9s", r.name.c_str());
  std::printf("\n");
  for (const int64_t C : {576, 768, 1024, 2304, 3072}) {
    for (const int64_t T : {90, 720}) {
      for (const int64_t r : {1, 4, 8, 16, 64}) {
        // The wide operand lies in huge pages, as activations do.
        auto* x = static_cast<float*>(
            allocate_host(static_cast<size_t>(T * C) * sizeof(float), MemoryClass::activations));
        std::ranges::copy(numbers(T * C), x);
        std::vector<float> w = numbers(r * C), u = numbers(T * r);
        std::vector<int32_t> bounds;
        for (int64_t t = 0; t <= T; t += 90) bounds.push_back(static_cast<int32_t>(t));
        const Segments segments = {bounds.data(), static_cast<int32_t>(bounds.size()) - 1};
        const double flops = 2.0 * static_cast<double>(T) * static_cast<double>(C) * static_cast<double>(r);
        const auto line = [&](const char* name, const std::function<void()>& ours,
                              const std::function<void(const Rival&)>& theirs) {
          std::printf("%-9s %6ld %5ld %3ld", name, static_cast<long>(T), static_cast<long>(C),
                      static_cast<long>(r));
          std::printf(" %9.1f", flops / least_seconds(threads, rounds, flops, ours) * 1e-9);
          for (const Rival& rival : rivals) {
            std::printf(" %9.1f",
                        flops / least_seconds(threads, rounds, flops, [&] { theirs(rival); }) * 1e-9);
          }
          std::printf("\n");
          std::fflush(stdout);
        };
        line(
            "down",
            [&] {
              low_rank_down(stream, {T, r, C, x, C, w.data(), 1, u.data()});
            },
            [&](const Rival& s) { s.product(false, true, T, r, C, x, C, w.data(), C, false, u.data(), r); });
        std::fill(u.begin(), u.end(), 0.01f);
        line(
            "up",
            [&] {
              low_rank_up(stream, {T, r, C, u.data(), w.data(), 1e-3f, x, C, true});
            },
            [&](const Rival& s) { s.product(false, false, T, C, r, u.data(), r, w.data(), C, true, x, C); });
        line(
            "grad",
            [&] {
              low_rank_grad(stream, {segments, r, C, u.data(), x, C, 1e-3f, w.data()});
            },
            [&](const Rival& s) {
              for (int32_t i = 0; i < segments.count; ++i) {
                const int64_t t = bounds[static_cast<size_t>(i)];
                s.product(true, false, r, C, 90, u.data() + t * r, r, x + t * C, C, true, w.data(), C);
              }
            });
        free_host(x, static_cast<size_t>(T * C) * sizeof(float), MemoryClass::activations);
      }
    }
  }
  return 0;
}

}  // namespace
}  // namespace ft::bench

int main(int argc, char** argv) {
  return ft::bench::run(argc, argv);
}
