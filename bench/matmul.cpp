// Our matrix products beside the sgemm of OpenBLAS, BLIS and MKL, on the layer shapes of the models we train.
//
//   bench_matmul [--threads 1,2] [--kind forward,grad_input,grad_weight] [--dtype float32] [--mkl FOLDER] …
//
// Per shape all candidates run in turn, round after round, so that a busy machine slows them alike; one
// thread is timed by its processor time, several by the clock on the wall. Figures are medians of the rounds,
// the ratio is the median over rounds of (best rival's time / our time) in the same round. Weights are taken
// in turn from copies that together exceed the last-level cache, as in a model's step. Every result is
// checked against the first rival's. `--kind few` prints GB/s of stored weights for 1 to 8 rows beside the
// speed of plain reading.
#include <sys/mman.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <thread>

#include "bench/rivals.h"
#include "engine/core/rng.h"
#include "engine/ops/matmul.h"

namespace ft::bench {
namespace {

struct Layer {
  int64_t outputs, inputs;
  bool head = false;
};
constexpr Layer kLayers[] = {{2304, 768},  {768, 768},         {3072, 768},         {768, 3072},
                             {576, 576},   {192, 576},         {1536, 576},         {576, 1536},
                             {2048, 1024}, {1024, 1024},       {1024, 2048},        {3072, 1024},
                             {1024, 3072}, {49152, 576, true}, {151936, 1024, true}};

/// Huge pages, never returned: the buffers of a benchmark.
float* buffer(int64_t count) {
  const size_t bytes = (static_cast<size_t>(count) * sizeof(float) + (1 << 21) - 1) >> 21 << 21;
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  FT_CHECK(p != MAP_FAILED, "[bench] no memory for {} bytes", bytes);
  madvise(p, bytes, MADV_HUGEPAGE);
  return static_cast<float*>(p);
}
struct Buffer {
  float* p;
  int64_t count;
  explicit Buffer(int64_t n) : p(buffer(n)), count(n) {
    uint32_t state = 12345;
    for (int64_t i = 0; i < n; ++i) {
      state = state * 1664525u + 1013904223u;
      p[i] = static_cast<float>(static_cast<int32_t>(state)) * 0x1p-31f;
    }
  }
  ~Buffer() { munmap(p, (static_cast<size_t>(count) * sizeof(float) + (1 << 21) - 1) >> 21 << 21); }
  Buffer(const Buffer&) = delete;
};

/// Of the times of one candidate: the median, or the least (`--best`, for a machine that others use).
double typical(std::vector<double> v, bool best) {
  std::sort(v.begin(), v.end());
  return best ? v.front() : v[v.size() / 2];
}

struct Options {
  std::vector<int> threads = {1};
  std::vector<std::string> kinds = {"forward", "grad_input", "grad_weight"};
  std::vector<int64_t> tokens = {32, 64, 128, 256, 512, 1024};
  std::vector<int64_t> outputs;  // only layers with these N
  std::string dtype = "float32", mkl;
  int rounds = 7;
  double min_ms = 4;
  bool no_head = false, best = false, alone = false;
  double cache_mb = 64;
};

struct Candidate {
  std::string name;
  std::function<void(int copy)> run;
};

/// Seconds a call of each candidate, [round][candidate].
std::vector<std::vector<double>> measure(const Options& o, int threads, int copies,
                                         const std::vector<Candidate>& all) {
  const auto now = [&] {
    timespec t{};
    clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  int copy = 0;
  const auto timed = [&](const Candidate& c, int repeats) {
    if (threads > 1) {
      // Let the spinning threads of the previous library go to sleep, then give our own time to spread over
      // the processors.
      std::this_thread::sleep_for(std::chrono::milliseconds(all.size() > 1 ? 35 : 0));
      for (const double start = now(); now() - start < 10e-3;) c.run(copy++ % copies);
    }
    const double start = now();
    for (int i = 0; i < repeats; ++i) c.run(copy++ % copies);
    return (now() - start) / repeats;
  };
  std::vector<int> repeats;
  for (const Candidate& c : all)
    repeats.push_back(static_cast<int>(std::ceil(o.min_ms * 1e-3 / std::max(1e-7, timed(c, 2)))));
  std::vector<std::vector<double>> times(static_cast<size_t>(o.rounds));
  for (auto& round : times) {
    for (size_t i = 0; i < all.size(); ++i) round.push_back(timed(all[i], repeats[i]));
  }
  return times;
}

/// Largest difference relative to the largest value.
double difference(const float* a, const float* b, int64_t count) {
  double worst = 0, scale = 0;
  for (int64_t i = 0; i < count; ++i) {
    worst = std::max(worst, std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    scale = std::max(scale, std::fabs(static_cast<double>(b[i])));
    if (std::isnan(a[i])) return NAN;
  }
  return worst / scale;
}

void bench_layer(const Options& o, const std::string& kind, int threads, CpuStream& stream,
                 const std::vector<Rival>& rivals, const Layer& l, int64_t T) {
  const int64_t N = l.outputs, K = l.inputs;
  const DType dtype = o.dtype == "bfloat16" ? DType::bf16 : o.dtype == "float16" ? DType::f16 : DType::f32;
  const int copies =
      static_cast<int>(std::clamp(o.cache_mb * 1e6 / static_cast<double>(N * K * 4), 1.0, 64.0));
  const Buffer plain(copies * N * K), packed(copies * packed_elements(N, K)), x(T * K), y(T * N);
  const Buffer out(std::max({T * K, T * N, N * K})), rival_out(out.count);
  const size_t packed_bytes = static_cast<size_t>(packed_elements(N, K)) * size_of(dtype);
  const auto packed_copy = [&](int i) {
    return reinterpret_cast<std::byte*>(packed.p) + static_cast<size_t>(i) * packed_bytes;
  };
  for (int i = 0; i < copies; ++i) {
    pack_rows(dtype, N, K, packed_copy(i), 0, N, plain.p + i * N * K, K);
    // The rivals read the same rounded values.
    unpack_rows({dtype, N, K, packed_copy(i)}, 0, N, plain.p + i * N * K, K);
  }
  // The weight gradient: samples of about 90 tokens, rivals one call a sample.
  std::vector<int32_t> bounds = {0};
  while (bounds.back() < T) bounds.push_back(static_cast<int32_t>(std::min<int64_t>(T, bounds.back() + 96)));
  const Segments segments = {bounds.data(), static_cast<int32_t>(bounds.size()) - 1};

  std::vector<Candidate> all;
  const auto ours = [&](int i) {
    const PackedView w = {dtype, N, K, packed_copy(i)};
    if (kind == "forward")
      matmul(stream, {T, w, x.p, K, nullptr, out.p, N});
    else if (kind == "grad_input")
      matmul_grad_input(stream, {T, w, y.p, N, out.p, K});
    else
      matmul_grad_weight(stream, {segments, N, K, y.p, N, x.p, K, reinterpret_cast<float*>(packed_copy(i))});
  };
  all.push_back({"ours", ours});
  for (const Rival& r : rivals) {
    all.push_back({r.name, [&, r](int i) {
                     float* w = plain.p + i * N * K;
                     if (kind == "forward")
                       r.product(false, true, T, N, K, x.p, K, w, K, false, rival_out.p, N);
                     else if (kind == "grad_input")
                       r.product(false, false, T, K, N, y.p, N, w, K, false, rival_out.p, K);
                     else {
                       for (int32_t s = 0; s < segments.count; ++s) {
                         const int64_t t = bounds[s], n = bounds[s + 1] - t;
                         r.product(true, false, N, K, n, y.p + t * N, N, x.p + t * K, K, true, w, K);
                       }
                     }
                   }});
  }
  double error = 0;
  if (!rivals.empty()) {
    all[0].run(0);
    all[1].run(0);
    if (kind == "grad_weight") {
      unpack_rows({dtype, N, K, packed_copy(0)}, 0, N, out.p, K);
      error = difference(out.p, plain.p, N * K);
    } else {
      error = difference(out.p, rival_out.p, T * (kind == "forward" ? N : K));
    }
  }
  const auto times = measure(o, threads, copies, all);
  const double flops = 2.0 * static_cast<double>(T) * static_cast<double>(N) * static_cast<double>(K);
  std::printf("%-11s %d %5ld %6ld %5ld ", kind.c_str(), threads, static_cast<long>(T), static_cast<long>(N),
              static_cast<long>(K));
  std::vector<double> typicals;
  for (size_t i = 0; i < all.size(); ++i) {
    std::vector<double> t;
    for (const auto& round : times) t.push_back(round[i]);
    typicals.push_back(typical(t, o.best));
    std::printf(" %8.1f", flops / typicals.back() * 1e-9);
  }
  if (!rivals.empty()) {
    std::vector<double> ratios = {*std::min_element(typicals.begin() + 1, typicals.end()) / typicals[0]};
    if (!o.best) {
      ratios.clear();
      for (const auto& round : times)
        ratios.push_back(*std::min_element(round.begin() + 1, round.end()) / round[0]);
    }
    std::printf("   %5.2f  %.0e%s", typical(ratios, false), error, error < 1e-4 ? "" : "  WRONG");
  }
  std::printf("\n");
  std::fflush(stdout);
}

/// GB/s of stored weights read by products with few rows, beside reading the same bytes and doing nothing.
void bench_few(const Options& o, int threads, CpuStream& stream, const Layer& l) {
  const int64_t N = l.outputs, K = l.inputs;
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const size_t bytes = static_cast<size_t>(packed_elements(N, K)) * size_of(dtype);
    const int copies =
        static_cast<int>(std::clamp(4 * o.cache_mb * 1e6 / static_cast<double>(bytes), 1.0, 256.0));
    const Buffer w(static_cast<int64_t>(bytes / 4) * copies), x(8 * K), y(8 * N);
    const Buffer plain(N * K);
    const auto at = [&](int i) { return reinterpret_cast<std::byte*>(w.p) + static_cast<size_t>(i) * bytes; };
    for (int i = 0; i < copies; ++i) pack_rows(dtype, N, K, at(i), 0, N, plain.p, K);
    std::vector<Candidate> all;
    all.push_back({"read", [&](int i) {
                     const auto* p = reinterpret_cast<const uint64_t*>(at(i));
                     const int64_t words = static_cast<int64_t>(bytes / 8),
                                   part = std::max<int64_t>(words / 16, 1 << 13);
                     stream.parallel((words + part - 1) / part, [&](int64_t task) {
                       uint64_t s[8] = {};
                       for (int64_t j = task * part; j + 8 <= std::min(words, (task + 1) * part); j += 8) {
                         for (int q = 0; q < 8; ++q) s[q] |= p[j + q];
                       }
                       uint64_t any = 0;
                       for (const uint64_t v : s) any |= v;
                       asm volatile("" : : "r"(any));
                     });
                   }});
    for (int64_t T = 1; T <= 8; ++T) {
      all.push_back({std::to_string(T), [&, T](int i) {
                       matmul(stream, {T, {dtype, N, K, at(i)}, x.p, K, nullptr, y.p, N});
                     }});
    }
    const auto times = measure(o, threads, copies, all);
    std::printf("few %s %d %6ld %5ld  GB/s ", std::string(dtype_name(dtype)).c_str(), threads,
                static_cast<long>(N), static_cast<long>(K));
    for (size_t i = 0; i < all.size(); ++i) {
      std::vector<double> t;
      for (const auto& round : times) t.push_back(round[i]);
      std::printf(" %s:%5.1f", all[i].name.c_str(), static_cast<double>(bytes) / typical(t, o.best) * 1e-9);
    }
    std::printf("\n");
    std::fflush(stdout);
  }
}

int run(int argc, char** argv) {
  Options o;
  CLI::App app("matrix products beside OpenBLAS, BLIS, MKL");
  app.add_option("--threads", o.threads)->delimiter(',');
  app.add_option("--kind", o.kinds, "forward, grad_input, grad_weight, few")->delimiter(',');
  app.add_option("--tokens", o.tokens)->delimiter(',');
  app.add_option("--outputs", o.outputs, "only layers with these N")->delimiter(',');
  app.add_option("--dtype", o.dtype, "storage of our weights");
  app.add_option("--mkl", o.mkl, "folder of libmkl_rt.so.2");
  app.add_option("--rounds", o.rounds);
  app.add_option("--min-ms", o.min_ms);
  app.add_option("--cache-mb", o.cache_mb);
  app.add_flag("--no-head", o.no_head);
  app.add_flag("--alone", o.alone, "no rivals: their idle threads disturb short products on several threads");
  app.add_flag("--best", o.best, "least time of the rounds instead of the median");
  CLI11_PARSE(app, argc, argv);
  const std::vector<Rival> rivals = o.alone ? std::vector<Rival>() : find_rivals(o.mkl);
  for (const int threads : o.threads) {
    ThreadPool pool(threads);
    CpuStream stream(pool);
    for (const Rival& r : rivals) r.threads(threads);
    std::printf("%-11s %s %5s %6s %5s  %8s", "GFLOP/s", "t", "T", "N", "K", "ours");
    for (const Rival& r : rivals) std::printf(" %8s", r.name.c_str());
    std::printf("   ratio  error\n");
    for (const std::string& kind : o.kinds) {
      for (const Layer& l : kLayers) {
        if (!o.outputs.empty() && std::find(o.outputs.begin(), o.outputs.end(), l.outputs) == o.outputs.end())
          continue;
        if (l.head && (o.no_head || kind == "grad_weight")) continue;
        if (kind == "few") {
          bench_few(o, threads, stream, l);
        } else if (l.head) {
          bench_layer(o, kind, threads, stream, rivals, l, 128);  // as the head is multiplied in training
        } else {
          for (const int64_t T : o.tokens) bench_layer(o, kind, threads, stream, rivals, l, T);
        }
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
