// bench_kernels --device cuda-sim: no times, but what the kernels execute, and what bench/roofline.h predicts
// from it for an H100.
#include "bench/kernels.h"
#include "bench/roofline.h"

namespace ft::bench {
namespace {

/// Sums over the kernels of one op.
sim::KernelCounters total_of(const std::vector<sim::KernelCounters>& kernels) {
  sim::KernelCounters t;
  for (const sim::KernelCounters& k : kernels) {
    t.launches += k.launches;
    t.flops += k.flops;
    t.global_loaded_bytes += k.global_loaded_bytes;
    t.global_stored_bytes += k.global_stored_bytes;
    t.sectors += k.sectors;
    t.ideal_sectors += k.ideal_sectors;
    t.wavefronts += k.wavefronts;
    t.ideal_wavefronts += k.ideal_wavefronts;
    t.warp_instructions += k.warp_instructions;
  }
  return t;
}

std::string ratio(uint64_t actual, uint64_t ideal) {
  return ideal == 0 ? "-" : fmt::format("{:.2f}", static_cast<double>(actual) / static_cast<double>(ideal));
}
/// 1234567 as "1235 K".
std::string thousands(uint64_t n) {
  return n < 10000 ? fmt::format("{}", n) : fmt::format("{:.0f} K", static_cast<double>(n) / 1000);
}
std::string percent(const Prediction& p) {
  const std::string least = fmt::format("{:.0f}", 100 * p.least_share),
                    largest = fmt::format("{:.0f}", 100 * p.largest_share);
  return least == largest ? least + " %" : fmt::format("{} to {} %", least, largest);
}

nlohmann::ordered_json row_of(const std::string& name, const std::string& shape, const Work& work,
                              const Prediction& p, const std::vector<sim::KernelCounters>& kernels) {
  nlohmann::ordered_json row = {{"kernel", name},
                                {"shape", shape},
                                {"work_bytes", work.bytes},
                                {"work_flops", work.flops},
                                {"predicted_seconds", p.seconds},
                                {"predicted_bound", p.bound},
                                {"predicted_least_share", p.least_share},
                                {"predicted_largest_share", p.largest_share},
                                {"launches", nlohmann::ordered_json::array()}};
  for (const sim::KernelCounters& k : kernels) {
    row["launches"].push_back({{"kernel", k.kernel},
                               {"blocks", k.blocks},
                               {"threads_per_block", k.threads_per_block},
                               {"warp_instructions", k.warp_instructions},
                               {"flops", k.flops},
                               {"global_loaded_bytes", k.global_loaded_bytes},
                               {"global_stored_bytes", k.global_stored_bytes},
                               {"sectors", k.sectors},
                               {"ideal_sectors", k.ideal_sectors},
                               {"wavefronts", k.wavefronts},
                               {"ideal_wavefronts", k.ideal_wavefronts},
                               {"shared_bytes", k.shared_bytes},
                               {"by_class", k.by_class}});
  }
  return row;
}

const AddKernelBench simulated("cuda-sim", [](const KernelOptions& options) {
  sim::Settings settings = sim::settings();
  settings.count = true;
  sim::set(settings);
  CudaStream stream(0);
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  std::vector<std::vector<std::string>> table = {{"kernel", "shape", "bytes", "FLOPs", "sectors/ideal",
                                                  "bank conflicts", "instructions", "bound", "share"}};
  using Case = KernelCase<CudaStream>;
  for_each_case(stream, options, [&](const Case& c, const Launch<CudaStream>& launch, const Operands& o) {
    sim::clear_counters();
    launch.run(stream);
    o.wait();
    const std::vector<sim::KernelCounters> kernels = sim::counters();
    if (kernels.empty()) return;  // a library's product
    const sim::KernelCounters t = total_of(kernels);
    const Prediction p = predict(launch.work, kernels);
    table.push_back({c.name(), sizes_of(c.shape), thousands(t.global_loaded_bytes + t.global_stored_bytes),
                     thousands(t.flops), ratio(t.sectors, t.ideal_sectors),
                     ratio(t.wavefronts, t.ideal_wavefronts), thousands(t.warp_instructions),
                     std::string(p.bound), percent(p)});
    rows.push_back(row_of(c.name(), sizes_of(c.shape), launch.work, p, kernels));
  });
  print_table(table, 2, options.markdown);
  fmt::print(
      "\nCounted by the simulator: bytes that threads load and store, operations, 32-byte sectors over the\n"
      "ideal, passes over the banks of shared memory over the ideal (- where none is used), warp "
      "instructions\n"
      "of PTX. Bound and share of an H100's roofline are a prediction from these counts (bench/roofline.h),\n"
      "from no caches to perfect ones; nothing of it was measured. Products that cuBLASLt computes are not "
      "in\n"
      "the table.\n");
  return rows;
});

}  // namespace
}  // namespace ft::bench
