// The kernel microbenchmark: every row of tests/cuda/kernel_shapes.h on one device, one table.
//   bench_kernels [--device cpu|cuda|cuda-sim] [--filter WORD] [--threads N] [--markdown] [--json FILE]
// cpu and cuda: time of a call, GB/s and GFLOP/s of the work that the op cannot avoid. cuda-sim: counts, and
// a prediction from them. Devices are those that the program was built with (FT_CUDA).
#include "bench/kernels.h"

#include <CLI/CLI.hpp>
#include <fstream>

#include "engine/core/check.h"
#include "engine/core/thread_pool.h"

int main(int argc, char** argv) {
  using namespace ft::bench;
  std::vector<std::string> devices;
  for (const auto& [name, bench] : kernel_benches()) devices.push_back(name);
  std::string device = "cpu", json;
  KernelOptions options;
  options.threads = ft::ThreadPool::default_threads();
  CLI::App app("Times every kernel on one device, or counts its work on cuda-sim.", "bench_kernels");
  app.add_option("--device", device, "where the kernels run")
      ->check(CLI::IsMember(devices))
      ->capture_default_str();
  app.add_option("--filter", options.filter, "only rows whose name contains it");
  app.add_option("--threads", options.threads, "threads of the CPU")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_flag("--markdown", options.markdown, "print the table as Markdown");
  app.add_option("--json", json, "write the rows to this file, too");
  try {
    app.parse(argc, argv);
    const nlohmann::ordered_json rows = kernel_benches().at(device)(options);
    if (json.empty()) return 0;
    std::ofstream out(json);
    out << nlohmann::ordered_json{{"device", device}, {"rows", rows}}.dump(1) << "\n";
    if (!out.flush()) ft::bad_input("--json: cannot write {}", json);
    return 0;
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  } catch (const ft::InputError& e) {
    fmt::print(stderr, "error: {}\n", e.what());
    return 2;
  } catch (const ft::Error& e) {
    fmt::print(stderr, "error: {}\n", e.what());
    return 1;
  }
}
