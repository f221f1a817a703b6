// ftengine check: everything that `run` would find fault with, found without training; and what the model is
// going to see.
#include <CLI/CLI.hpp>

#include "tools/ftengine/certificate.h"
#include "tools/ftengine/check_report.h"
#include "tools/ftengine/commands.h"
#include "tools/ftengine/experiment_run.h"

namespace ft {

void register_check(CLI::App& app) {
  struct Args {
    RunOptions run;
    CheckOptions check;
    std::string yaml;
    std::filesystem::path out;
    bool gradients = false;
  };
  auto args = std::make_shared<Args>();
  CLI::App* c = app.add_subcommand(
      "check", "validate a YAML file with its model and data, and show samples, masks, statistics and hints");
  c->add_option("yaml", args->yaml, "the experiment, e.g. configs/quickstart.yaml")->required();
  c->add_option("--set", args->run.overrides, "KEY.PATH=VALUE: override any key")->allow_extra_args(false);
  c->add_option("--samples", args->check.samples, "samples shown of each training file (default 2)")
      ->check(CLI::Range(0, 1000));
  c->add_option("--tokens", args->check.tokens, "tokens shown of a sample (default 120)")
      ->check(CLI::Range(8, 1000000));
  c->add_flag("--gradients", args->gradients,
              "instead: compare the backward with finite differences for each trained tensor and write "
              "certificate.json");
  c->add_option("--out", args->out, "of --gradients; default: certificate.json in training.output_dir");
  c->add_option("--threads", args->run.threads, "threads (default: all processors, or FT_NUM_THREADS)")
      ->check(CLI::Range(1, 1024));
  c->callback([args] {
    if (args->gradients)
      return certify_gradients({args->yaml, args->run.overrides, args->out, args->run.threads});
    args->run.yaml = args->yaml;
    args->run.dry_run = true;
    args->run.look = [&](const RunSubject& subject, double learning_rate) {
      report_check(subject, learning_rate, args->check);
      return 0;
    };
    exit_code = run_experiment(args->run);
  });
}

}  // namespace ft
