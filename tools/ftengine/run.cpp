// ftengine run: from exp.yaml to an adapter. The order is that of what can fail cheaply: configuration,
// output folder, tokenizer and data, model, adapter; then samples before, training, samples after.
#include <CLI/CLI.hpp>

#include <unistd.h>
#include <csignal>
#include <cstdio>

#include "engine/core/check.h"
#include "tools/ftengine/commands.h"
#include "tools/ftengine/experiment_run.h"

namespace ft {
namespace {

std::atomic<bool> interrupted{false};

// The first Ctrl-C lets the run save and leave; the second leaves at once.
void on_interrupt(int) {
  if (interrupted.exchange(true)) _exit(130);
  constexpr char kText[] = "\ninterrupted: saving (once more leaves at once)\n";
  [[maybe_unused]] const auto n = write(STDERR_FILENO, kText, sizeof kText - 1);
}

struct Options {
  RunOptions run;
  std::string yaml, resume;
};

}  // namespace

void register_run(CLI::App& app) {
  CLI::App* c =
      app.add_subcommand("run", "train what a YAML file describes and leave the adapter in its output_dir");
  auto o = std::make_shared<Options>();
  c->add_option("yaml", o->yaml, "the experiment, e.g. configs/quickstart.yaml")->required();
  c->add_option("--set", o->run.overrides,
                "KEY.PATH=VALUE: override any key, e.g. --set training.learning_rate=1e-4")
      ->allow_extra_args(false);
  CLI::Option* resume =
      c->add_option("--resume", o->resume,
                    "go on from the newest checkpoint of output_dir, or from the one named, which removes "
                    "those behind it")
          ->expected(0, 1);
  c->add_flag(
      "--resume-anyway", o->run.resume_anyway,
      "with --resume: go on although settings that shape training, or the data, have changed (they are "
      "listed); another base is refused all the same");
  c->add_flag("--overwrite", o->run.overwrite, "replace what an earlier run left in output_dir");
  c->add_flag("--dry-run", o->run.dry_run, "load and check everything, train nothing");
  c->add_option("--threads", o->run.threads, "threads (default: all processors, or FT_NUM_THREADS)")
      ->check(CLI::Range(1, 1024));
  c->callback([o, resume] {
    o->run.yaml = o->yaml;
    o->run.resume = resume->count() > 0;
    o->run.resume_from = o->resume;
    if (o->run.resume_anyway && !o->run.resume) bad_input("--resume-anyway: goes with --resume");
    std::signal(SIGINT, on_interrupt);
    std::signal(SIGTERM, on_interrupt);
    o->run.interrupted = &interrupted;
    exit_code = run_experiment(o->run);
  });
}

}  // namespace ft
