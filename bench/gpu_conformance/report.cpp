#include "bench/gpu_conformance/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/io/json.h"
#include "engine/io/text_file.h"

namespace ft::bench {
namespace {

// JSON has no infinity.
nlohmann::ordered_json number(double v) {
  return std::isfinite(v) ? nlohmann::ordered_json(v) : nlohmann::ordered_json(nullptr);
}

nlohmann::ordered_json json_of(const DeviceFacts& d) {
  nlohmann::ordered_json j = {{"backend", d.backend},
                              {"name", d.name},
                              {"compute_capability", fmt::format("{}.{}", d.major, d.minor)},
                              {"driver", version_text(d.driver)},
                              {"runtime", version_text(d.runtime)},
                              {"multiprocessors", d.multiprocessors},
                              {"memory_bytes", d.memory_bytes},
                              {"l2_bytes", d.l2_bytes},
                              {"roofline", nullptr}};
  if (const auto r = roofline_of(d))
    j["roofline"] = {{"gb_per_second", r->gb_per_second}, {"bf16_tflops", r->bf16}, {"f32_tflops", r->f32}};
  return j;
}
nlohmann::ordered_json json_of(const OpReport& r) {
  return {{"op", r.op},
          {"type", dtype_name(r.type)},
          {"cases", r.cases},
          {"failed", r.failed},
          {"worst_error_over_tolerance", number(r.worst)},
          {"worst_at", r.worst_at},
          {"failures", r.failures}};
}
nlohmann::ordered_json json_of(const TrainingReport& r) {
  return {{"folder", r.folder},       {"type", dtype_name(r.type)},
          {"failed", r.failed()},     {"worst_relative_difference", number(r.worst)},
          {"tolerance", r.tolerance}, {"same_bits", r.same_bits},
          {"losses_cpu", r.cpu},      {"losses_device", r.device},
          {"error", r.error}};
}
nlohmann::ordered_json json_of(const Timing& t) {
  return {{"op", t.op},         {"variant", t.variant},
          {"sizes", t.sizes},   {"type", dtype_name(t.type)},
          {"ms", t.ms},         {"gb_per_second", t.gb_per_second},
          {"tflops", t.tflops}, {"roofline_share", t.roofline_share ? number(*t.roofline_share) : nullptr},
          {"error", t.error}};
}

template <class T>
nlohmann::ordered_json array_of(const std::vector<T>& all) {
  nlohmann::ordered_json array = nlohmann::ordered_json::array();
  for (const T& one : all) array.push_back(json_of(one));
  return array;
}

template <class T, class F>
int64_t count_if(const std::vector<T>& all, F&& f) {
  return std::count_if(all.begin(), all.end(), f);
}

}  // namespace

int64_t Conformance::failed() const {
  int64_t n = 0;
  for (const OpReport& r : ops) n += r.failed;
  return n + count_if(training, [](const TrainingReport& r) { return r.failed(); }) +
         count_if(timings, [](const Timing& t) { return !t.error.empty(); });
}

void print_device(const DeviceFacts& d) {
  fmt::print("{}: {}, sm_{}{}, {} multiprocessors, {:.1f} GB; driver {}, runtime {}\n", d.backend, d.name,
             d.major, d.minor, d.multiprocessors, static_cast<double>(d.memory_bytes) * 1e-9,
             version_text(d.driver), version_text(d.runtime));
  if (const auto r = roofline_of(d))
    fmt::print("its limits: {} GB/s, {} TFLOP/s in bfloat16, {} in float32\n", r->gb_per_second, r->bf16,
               r->f32);
}

void print_ops(const std::vector<OpReport>& ops) {
  fmt::print("\n{:<22} {:<9} {:>5} {:>6}  {:>15}  {}\n", "op", "type", "cases", "failed", "error/tolerance",
             "worst at");
  for (const OpReport& r : ops) {
    fmt::print("{:<22} {:<9} {:>5} {:>6}  {:>15.3f}  {}\n", r.op, dtype_name(r.type), r.cases, r.failed,
               r.worst, r.worst_at);
    for (const std::string& what : r.failures) fmt::print("    FAILED {}\n", what);
  }
}

void print_training(const std::vector<TrainingReport>& training) {
  fmt::print("\n{:<22} {:<9} {:>5} {:>12} {:>12}  {}\n", "training", "type", "steps", "worst loss",
             "tolerance", "second run");
  for (const TrainingReport& r : training) {
    fmt::print("{:<22} {:<9} {:>5} {:>12.2e} {:>12.0e}  {}{}\n",
               std::filesystem::path(r.folder).filename().string(), dtype_name(r.type), r.device.size(),
               r.worst, r.tolerance, r.same_bits ? "same bits" : "OTHER BITS", r.failed() ? "  FAILED" : "");
    if (!r.error.empty()) fmt::print("    {}\n", r.error);
  }
}

void print_timings(const std::vector<Timing>& timings) {
  fmt::print("\n{:<36} {:<9} {:>9} {:>8} {:>8} {:>9}  {}\n", "kernel", "type", "ms", "GB/s", "TFLOP/s",
             "roofline", "sizes");
  for (const Timing& t : timings) {
    const std::string name = t.variant.empty() ? t.op : fmt::format("{} ({})", t.op, t.variant);
    if (!t.error.empty()) {
      fmt::print("{:<36} {:<9} FAILED {}\n", name, dtype_name(t.type), t.error);
      continue;
    }
    fmt::print("{:<36} {:<9} {:>9.4f} {:>8.0f} {:>8.2f} {:>9}  {}\n", name, dtype_name(t.type), t.ms,
               t.gb_per_second, t.tflops,
               t.roofline_share ? fmt::format("{:.0f}%", 100 * *t.roofline_share) : "unknown", t.sizes);
  }
}

void write_json(const Conformance& c, const std::filesystem::path& file) {
  const nlohmann::ordered_json j = {{"failed", c.failed()},           {"device", json_of(c.device)},
                                    {"ops", array_of(c.ops)},         {"training", array_of(c.training)},
                                    {"timings", array_of(c.timings)}, {"timing_note", c.timing_note}};
  write_text_file(file, j.dump(2) + "\n");
}

}  // namespace ft::bench
