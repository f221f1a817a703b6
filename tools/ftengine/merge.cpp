// ftengine merge: base + adapter -> one Hugging Face folder.
//
// The fold W + ΔW is done in float32 whatever the base is stored as, then rounded once to the output type.
// The folder is written beside its place, loaded again and run against base + adapter, and takes its name
// only after that: what stands there is whole and gives the logits that were reported. Memory: the base in
// float32, then the result.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>

#include "adapters/stack.h"
#include "engine/data/open_tokenizer.h"
#include "engine/io/atomic_folder.h"
#include "engine/io/gguf.h"
#include "models/decoder.h"
#include "tools/ftengine/commands.h"
#include "tools/ftengine/merge_files.h"
#include "tools/ftengine/probe.h"
#include "tools/ftengine/session.h"

namespace ft {
namespace fs = std::filesystem;
namespace {

struct Args {
  fs::path model, adapter, out;
  std::optional<std::string> dtype;
  bool overwrite = false;
  int threads = 0;
};

// Of the largest logit. A float32 merge differs from base + adapter by some 1e-6 of it, one of 16 bits by
// some 1e-2 (reported, never hidden). Far beyond that the result is not the model that was asked for, and is
// not kept.
constexpr double kFloat32Limit = 1e-3, kNarrowLimit = 0.5;

std::optional<DType> dtype_of_type(std::string_view type) {
  if (type == "F32") return DType::f32;
  if (type == "BF16") return DType::bf16;
  if (type == "F16") return DType::f16;
  return std::nullopt;
}

/// What all matrices of the base are stored as; nothing if they differ or are quantised.
std::optional<DType> stored_dtype(const fs::path& model) {
  std::unique_ptr<WeightSource> source;
  if (fs::is_directory(model))
    source = open_safetensors_weights(model);
  else
    source = std::make_unique<GgufFile>(model);
  std::optional<DType> common;
  for (const TensorInfo& t : source->tensors()) {
    if (t.shape.size() != 2) continue;
    const auto dtype = dtype_of_type(t.type);
    if (!dtype || (common && *common != *dtype)) return std::nullopt;
    common = dtype;
  }
  return common;
}

struct OutputType {
  DType dtype;
  std::string why;
};

OutputType output_type(const Args& args) {
  if (!args.dtype) {
    if (const auto own = stored_dtype(args.model)) return {*own, "the base's own"};
    return {DType::f32, "the base is quantised or mixed"};
  }
  std::vector<std::string_view> names;
  for (const auto& entry : enum_names(DType{})) {
    if (entry.name == *args.dtype) return {entry.value, "as asked"};
    names.push_back(entry.name);
  }
  bad_input("--dtype: '{}' is not known; there are {}", *args.dtype, fmt::join(names, ", "));
}

void check_inputs(const Args& args) {
  if (!fs::exists(args.model))
    bad_input("{}: no such model; give a Hugging Face folder or a .gguf file", args.model.string());
  if (!fs::exists(args.adapter))
    bad_input("{}: no such adapter; give the folder that holds adapter_config.json", args.adapter.string());
  if (fs::exists(args.adapter / "config.json") && !fs::exists(args.adapter / "adapter_config.json"))
    bad_input("{}: a whole model, not an adapter: there is nothing to merge, use it as it is",
              args.adapter.string());
}

/// The file formats say less than the base does: a config.json cannot carry GGUF's frequency factors.
void check_expressible(const Model& model, const fs::path& path) {
  const auto* decoder = dynamic_cast<const Decoder*>(&model);
  if (decoder && !decoder->config().rope.frequency_divisors.empty())
    bad_input(
        "{}: its rope_freqs have no place in a Hugging Face config.json; merge into the model's Hugging Face "
        "folder instead",
        path.string());
}

/// Does one parameter still serve as embedding and head once the adapter is folded in? Not where the head's
/// slot holds a trained copy, nor where anything acts on the head alone.
bool still_tied(Model& model) {
  if (!model.facts().tied) return false;
  const Linear& head = model.head();
  int places = 0;
  for (const Slot* slot : model.slots()) places += slot->parameter == head.weight.parameter;
  return places > 1 && head.adapters.empty();
}

std::vector<float> merged_values(const AdapterStack& adapter, const Slot& slot, DType dtype) {
  std::vector<float> values = to_plain(*slot.parameter);
  adapter.merge(slot, values);
  for (const float v : values) {
    const float rounded = dtype == DType::f16    ? to_float(to_f16(v))
                          : dtype == DType::bf16 ? to_float(to_bf16(v))
                                                 : v;
    if (rounded - rounded != 0)
      bad_input("{}: the merged weight has the value {}, which {} cannot hold; choose another --dtype",
                slot.name, v, dtype_name(dtype));
  }
  return values;
}

void report(const Args& args, const AdapterStack& adapter, const OutputType& type, bool was_tied, bool tied,
            const LogitDifference& merged, const LogitDifference& effect) {
  fmt::print("merged   {} adapter {} into {}\n", adapter.describe(), args.adapter.string(),
             args.model.string());
  fmt::print("folder   {}\n", args.out.string());
  fmt::print("dtype    {} ({})\n", dtype_name(type.dtype), type.why);
  if (was_tied)
    fmt::print("head     {}\n",
               tied ? "tied to the embedding, as in the base"
                    : "no longer tied: the adapter changed head or embedding, so both are written");
  fmt::print("logits   max |difference| {:.2g} to base + adapter on {} tokens (largest logit {:.3g})\n",
             merged.largest, merged.rows, merged.scale);
  fmt::print("top-1    {} of {} equal\n", merged.same_top, merged.rows);
  fmt::print("adapter  moves these logits by up to {:.2g}\n", effect.largest);
  if (effect.largest == 0)
    fmt::print(stderr, "warning: the adapter changes nothing: the merged model answers as the base does\n");
}

void run(const Args& args) {
  check_inputs(args);
  check_replaceable(args.out, args.overwrite, {args.model, args.adapter});
  const OutputType type = output_type(args);
  Session session("cpu", args.threads);
  Stream& stream = session.stream();

  LoadedModel base = load_model(args.model, {.storage = DType::f32}, session.host());
  Model& model = *base.model;
  check_expressible(model, args.model);
  const auto tokenizer = has_tokenizer(args.model) ? open_base_tokenizer(args.model) : nullptr;
  const Prompts prompts = probe_prompts(tokenizer.get(), model.facts());
  const std::vector<float> plain = probe_logits(model, {}, stream, prompts);
  const AdapterStack adapters =
      load_stack({&args.adapter, 1}, model, base.fingerprint, {.training = false, .where = {}});
  for (const Adapter* a : adapters.all())
    if (!a->mergeable())
      bad_input("{}: a {} adapter cannot be folded into the weights{}; use it with --adapter",
                args.adapter.string(), a->peft_type(),
                a->prompt_rows() + a->prefix_rows() > 0
                    ? ": what it learned stands before the text, not in them"
                    : ": what it computes is no change of a weight");
  const std::vector<float> adapted = probe_logits(model, adapters.all(), stream, prompts);
  const int64_t vocab = model.facts().vocab;
  const bool was_tied = model.facts().tied, tied = still_tied(model);

  make_parents(args.out);
  AtomicFolder folder(args.out);
  save_model(model, folder.temporary(), type.dtype, tied,
             [&](const Slot& slot) { return merged_values(adapters, slot, type.dtype); });
  write_companions({.base = args.model,
                    .adapter = args.adapter,
                    .out = folder.temporary(),
                    .tokenizer = tokenizer.get(),
                    .vocab = vocab});
  base.model.reset();

  LoadedModel result = load_model(folder.temporary(), {.storage = type.dtype}, session.host());
  const LogitDifference merged =
      compare_logits(adapted, probe_logits(*result.model, {}, stream, prompts), vocab);
  if (!(merged.largest <= (type.dtype == DType::f32 ? kFloat32Limit : kNarrowLimit) * merged.scale))
    fail("{}: the merged model differs from base + adapter by {} in its logits; nothing was written",
         args.out.string(), merged.largest);
  folder.commit();
  report(args, adapters, type, was_tied, tied, merged, compare_logits(plain, adapted, vocab));
}

}  // namespace

void register_merge(CLI::App& app) {
  auto args = std::make_shared<Args>();
  CLI::App* c = app.add_subcommand("merge", "fold an adapter into its base and write a Hugging Face folder");
  c->add_option("--model", args->model, "the base: Hugging Face folder or .gguf file")->required();
  c->add_option("--adapter", args->adapter, "adapter folder in PEFT's format")->required();
  c->add_option("--out", args->out, "folder to write: config.json, model.safetensors, the tokenizer's files")
      ->required();
  c->add_option("--dtype", args->dtype,
                "float32, bfloat16 or float16 (default: the base's own, float32 for a quantised base)");
  c->add_flag("--overwrite", args->overwrite, "replace a model folder that stands at --out");
  c->add_option("--threads", args->threads, "default: FT_NUM_THREADS, else the processors there are")
      ->check(CLI::Range(1, 1024));
  c->footer(
      "The fold is done in float32. The folder is loaded again and compared with base + adapter before it "
      "takes its\n"
      "name; the largest difference of the logits and the agreement of the likeliest tokens are printed.");
  c->callback([args] { run(*args); });
}

}  // namespace ft
