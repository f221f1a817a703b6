// ftengine combine: several LoRAs of one base → one, weighted, in PEFT's format.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>

#include "adapters/combine.h"
#include "adapters/stack.h"
#include "engine/io/atomic_folder.h"
#include "tools/ftengine/commands.h"
#include "tools/ftengine/merge_files.h"

namespace ft {
namespace fs = std::filesystem;
namespace {

struct Args {
  std::vector<fs::path> adapters;
  std::vector<double> weights;
  CombineOptions options;
  fs::path out;
};

void run(const Args& args) {
  std::vector<double> weights = args.weights;
  if (weights.empty()) weights.assign(args.adapters.size(), 1);
  if (weights.size() != args.adapters.size())
    bad_input("--weights: {} given for {} adapters; give one for each --adapter, in their order",
              weights.size(), args.adapters.size());
  if (args.options.svd_rank > 0 && args.options.type != Combination::svd)
    bad_input("--svd-rank is for --combination-type svd");
  std::error_code ignored;
  if (fs::exists(args.out, ignored) && !fs::is_empty(args.out, ignored))
    bad_input("{}: stands there already; choose another --out", args.out.string());
  std::vector<WeightedAdapter> adapters;
  for (size_t i = 0; i < args.adapters.size(); ++i) {
    if (adapter_folders(args.adapters[i]).size() > 1)
      bad_input("{}: holds several adapters; name one of its folders", args.adapters[i].string());
    adapters.push_back({args.adapters[i], weights[i]});
  }
  make_parents(args.out);
  AtomicFolder folder(args.out);
  const int64_t rank = combine_loras(adapters, args.options, folder.temporary());
  folder.commit();
  fmt::print("{}: {} adapters as one LORA of rank {}\n", args.out.string(), adapters.size(), rank);
}

}  // namespace

void register_combine(CLI::App& app) {
  auto args = std::make_shared<Args>();
  CLI::App* c = app.add_subcommand("combine", "make one LoRA of several, weighted");
  c->add_option("--adapter", args->adapters, "folder of a LORA in PEFT's format; repeated")
      ->required()
      ->allow_extra_args(false);
  c->add_option("--weights", args->weights, "one for each --adapter: 0.7,0.3; default: 1 each")
      ->delimiter(',')
      ->allow_extra_args(false);
  static const std::map<std::string, Combination> types = {
      {"linear", Combination::linear}, {"cat", Combination::cat}, {"svd", Combination::svd}};
  c->add_option("--combination-type", args->options.type,
                "linear (default): weights A and B, one rank; cat: the exact sum, ranks add up; svd: the "
                "nearest of a rank")
      ->transform(CLI::CheckedTransformer(types));
  c->add_option("--svd-rank", args->options.svd_rank, "default: the largest of the adapters'")
      ->check(CLI::Range(1, 4096));
  c->add_option("--out", args->out, "folder to write")->required();
  c->footer("The results are those of PEFT's add_weighted_adapter. No base model is needed.");
  c->callback([args] { run(*args); });
}

}  // namespace ft
