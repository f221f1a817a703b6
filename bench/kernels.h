// What the devices of bench_kernels share: options, one aligned table a run, timing. A device is one source
// file that names itself to the program; the build links those that it has.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/cuda/kernel_cases.h"

namespace ft::bench {

struct KernelOptions {
  std::string filter;  // rows whose name contains it
  int threads = 1;     // of the CPU
  bool markdown = false;
};

/// Prints the device's table and returns its rows.
using KernelBench = nlohmann::ordered_json (*)(const KernelOptions&);
inline std::map<std::string, KernelBench>& kernel_benches() {
  static std::map<std::string, KernelBench> all;
  return all;
}
struct AddKernelBench {
  AddKernelBench(const char* device, KernelBench bench) { kernel_benches()[device] = bench; }
};

/// Columns as wide as their widest cell; the first `left` to the left, numbers to the right.
inline void print_table(const std::vector<std::vector<std::string>>& rows, size_t left, bool markdown) {
  std::vector<size_t> widths(rows.at(0).size());
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  for (size_t r = 0; r < rows.size(); ++r) {
    std::string line = markdown ? "|" : "", rule = "|";
    for (size_t i = 0; i < widths.size(); ++i) {
      line += i < left ? fmt::format(" {:<{}} ", rows[r][i], widths[i])
                       : fmt::format(" {:>{}} ", rows[r][i], widths[i]);
      if (markdown) line += "|";
      rule += i < left ? " --- |" : " ---: |";
    }
    line.resize(line.find_last_not_of(' ') + 1);
    fmt::print("{}\n", line);
    if (markdown && r == 0) fmt::print("{}\n", rule);
  }
}

/// f(case, its launch) for every case that the filter takes; the launch has run once.
template <class S, class F>
void for_each_case(S& s, const KernelOptions& options, F&& f) {
  for (const KernelCase<S>& c : kernel_cases<S>()) {
    if (c.name().find(options.filter) == std::string::npos) continue;
    Operands operands(s.device());
    const Launch<S> launch = c.make(c.shape, operands);
    launch.run(s);
    operands.wait();
    f(c, launch, operands);
  }
}

/// Times all cases. seconds_of(f): of one call of f, which queues one launch. Operands stay where the last
/// call left them: in caches, if they fit.
template <class S>
nlohmann::ordered_json time_kernels(S& s, const KernelOptions& options,
                                    const std::function<double(const std::function<void()>&)>& seconds_of) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  std::vector<std::vector<std::string>> table = {{"kernel", "shape", "us", "GB/s", "GFLOP/s"}};
  for_each_case(s, options, [&](const KernelCase<S>& c, const Launch<S>& launch, const Operands&) {
    const double seconds = seconds_of([&] { launch.run(s); });
    const double bandwidth = launch.work.bytes / seconds, speed = launch.work.flops / seconds;
    table.push_back({c.name(), sizes_of(c.shape), fmt::format("{:.1f}", seconds * 1e6),
                     fmt::format("{:.1f}", bandwidth * 1e-9), fmt::format("{:.1f}", speed * 1e-9)});
    rows.push_back({{"kernel", c.name()},
                    {"shape", sizes_of(c.shape)},
                    {"seconds", seconds},
                    {"bytes", launch.work.bytes},
                    {"flops", launch.work.flops},
                    {"bytes_per_second", bandwidth},
                    {"flops_per_second", speed}});
  });
  print_table(table, 2, options.markdown);
  return rows;
}

}  // namespace ft::bench
