// Does the engine's CUDA backend do on this machine's GPU what the CPU backend does, and how fast?
//
//   gpu_conformance [--quick] [--json FILE] [--training FOLDER]... [--timing auto|always|never]
//
// Runs every case of the op tests' tables on CUDA device 0 in float32, bfloat16 and float16, forward and
// backward, and compares with the CPU in float64; trains ten steps (LoRA, and all weights) on both; times
// every kernel. A program built with FT_CUDA=sim does the first two on the simulator. Exit code 0: all
// passed; 1: something failed; 2: wrong arguments, or no device. On a GPU about a minute, of which the CPU's
// share is the most.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "bench/gpu_conformance/report.h"
#include "engine/core/check.h"

namespace ft::bench {
namespace {

struct Options {
  bool quick = false;
  std::string json, timing = "auto";
  std::vector<std::string> training;
};

Conformance conformance(const Options& o) {
  Conformance c;
  c.device = device_facts();
  print_device(c.device);

  Checks checks;
  for (const auto check :
       {check_activations, check_norms, check_elementwise, check_rows, check_embeddings, check_matmuls,
        check_low_rank, check_attention, check_cross_entropy, check_optimizers, check_sampling})
    check(checks);
  c.ops = checks.ops();
  print_ops(c.ops);

  for (const std::string& folder : o.training)
    for (TrainingReport& r : compare_training(folder, c.device.backend)) c.training.push_back(std::move(r));
  print_training(c.training);

  if (o.timing == "never")
    c.timing_note = "not asked for";
  else if (o.timing == "auto" && c.device.simulated())
    c.timing_note = "the simulator's times say nothing about a GPU";
  else
    c.timings = time_kernels(c.device, o.quick);
  if (c.timing_note.empty())
    print_timings(c.timings);
  else
    fmt::print("\nno timings: {}\n", c.timing_note);
  return c;
}

int run(const Options& o) {
  const Conformance c = conformance(o);
  if (!o.json.empty()) write_json(c, o.json);
  int64_t cases = static_cast<int64_t>(c.training.size() + c.timings.size());
  for (const OpReport& r : c.ops) cases += r.cases;
  fmt::print("\n{} of {} checks failed\n", c.failed(), cases);
  return c.failed() == 0 ? 0 : 1;
}

int run_program(int argc, char** argv) {
  Options o;
  const std::string fixtures = FT_SOURCE_DIR "/tests/fixtures/models/";
  o.training = {fixtures + "qwen3_lora", fixtures + "gpt2_full"};
  CLI::App app("The CUDA backend against the CPU backend, with timings");
  app.add_flag("--quick", o.quick, "times at small sizes");
  app.add_option("--json", o.json, "write everything to FILE")->type_name("FILE");
  app.add_option("--training", o.training,
                 "folder with exp.yaml and tokenised data; may be given more than once")
      ->type_name("FOLDER")
      ->capture_default_str();
  app.add_option("--timing", o.timing, "auto: not on the simulator")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    return run(o);
  } catch (const InputError& e) {
    fmt::print(stderr, "error: {}\n", e.what());
    return 2;
  } catch (const std::exception& e) {
    fmt::print(stderr, "error: {}\n", e.what());
    return 1;
  }
}

}  // namespace
}  // namespace ft::bench

int main(int argc, char** argv) {
  return ft::bench::run_program(argc, argv);
}
