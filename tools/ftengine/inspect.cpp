// ftengine inspect: what a file or folder contains, and whether an adapter fits a base. Only --model loads
// weights.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>

#include "adapters/stack.h"
#include "engine/data/open_tokenizer.h"
#include "tools/ftengine/commands.h"
#include "tools/ftengine/inspect_files.h"
#include "tools/ftengine/session.h"

namespace ft {
namespace fs = std::filesystem;
namespace {

struct Args {
  fs::path path;
  std::optional<std::string> model;
  bool json = false, tensors = false;
  int threads = 0;
};

/// Adapters that act together: each stands in a folder of its own.
bool describe_parts(const fs::path& path, Report& report) {
  const auto parts = adapter_folders(path);
  if (parts.size() == 1 && parts[0] == path) return false;
  std::vector<std::string> names;
  for (const fs::path& part : parts) names.push_back(part.filename().string());
  report.add("adapters", names, fmt::format("{}: they act together", fmt::join(names, ", ")));
  return true;
}

bool is_tokenizer_file(const fs::path& path) {
  const std::string name = path.filename().string(), end = path.extension().string();
  return name == "tokenizer.json" || name == "vocab.json" || name == "merges.txt" || name == "vocab.txt" ||
         end == ".model" || end == ".tiktoken";
}

/// True if the path holds an adapter.
bool describe_path(const fs::path& path, Report& report) {
  std::error_code error;
  if (!fs::exists(path, error)) bad_input("{}: no such file or folder", path.string());
  if (!fs::is_directory(path)) {
    if (path.extension() == ".gguf")
      describe_gguf(path, report);
    else if (path.extension() == ".safetensors")
      describe_safetensors(path, report);
    else if (is_tokenizer_file(path))
      describe_tokenizer(path, report);
    else
      bad_input(
          "{}: expected a .gguf, .safetensors or tokenizer file, or a folder with a model, an adapter or a "
          "checkpoint",
          path.string());
    return false;
  }
  const bool checkpoint = fs::exists(path / "trainer_state.json"), run = fs::exists(path / "metrics.jsonl");
  const bool adapter = fs::exists(path / "adapter_config.json"), model = fs::exists(path / "config.json");
  if (checkpoint) describe_checkpoint(path, report);
  if (run) describe_run(path, report);
  if (!adapter && describe_parts(path, report)) return true;
  if (adapter)
    describe_adapter(path, report);
  else if (model)
    describe_model_folder(path, report);
  else if (!checkpoint && !run && has_tokenizer(path))
    describe_tokenizer(path, report);
  else if (!checkpoint && !run)
    bad_input(
        "{}: nothing known in this folder; expected config.json, adapter_config.json, trainer_state.json or "
        "tokenizer.json",
        path.string());
  return adapter;
}

/// Loads the base and hangs the adapter into it, strictly. Returns why it does not fit, or "".
std::string why_not(const Args& args) {
  Session session("cpu", args.threads);
  // Half the memory; neither shapes nor the fingerprint depend on the storage.
  LoadedModel base = load_model(*args.model, {.storage = DType::bf16}, session.host());
  try {
    load_stack({&args.path, 1}, *base.model, base.fingerprint, {.training = false, .where = {}});
    return "";
  } catch (const InputError& e) {
    return e.what();
  }
}

void run(const Args& args) {
  Report report;
  const bool adapter = describe_path(args.path, report);
  std::string problem;
  if (args.model) {
    if (!adapter)
      bad_input("--model: {} is no adapter folder; only an adapter can fit a base", args.path.string());
    problem = why_not(args);
    report.add("fits", problem.empty(),
               problem.empty() ? "yes: every tensor has its place in " + *args.model : "no: " + *args.model);
    if (!problem.empty()) report.add("why_not", problem);
  }
  if (args.json)
    fmt::print("{}\n", report.json().dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  else
    fmt::print("{}", report.text(args.tensors));
  if (!problem.empty()) bad_input("{}", problem);
}

}  // namespace

void register_inspect(CLI::App& app) {
  auto args = std::make_shared<Args>();
  CLI::App* c =
      app.add_subcommand("inspect", "say what a model, adapter, checkpoint or weight file contains");
  c->add_option("path", args->path,
                "model folder, .gguf or .safetensors file, adapter, checkpoint or output folder")
      ->required();
  c->add_option("--model", args->model,
                "a base: say whether the adapter at PATH fits it (exit code 2 if not)");
  c->add_flag("--json", args->json, "one JSON object instead of text");
  c->add_flag("--tensors", args->tensors, "list every tensor; else equal layers share a line");
  c->add_option("--threads", args->threads, "default: FT_NUM_THREADS, else the processors there are")
      ->check(CLI::Range(1, 1024));
  c->callback([args] { run(*args); });
}

}  // namespace ft
