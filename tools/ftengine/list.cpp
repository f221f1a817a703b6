// ftengine list: what this program knows, from the registries themselves.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "adapters/registry.h"
#include "engine/config/experiment.h"
#include "engine/core/stream.h"
#include "engine/data/template.h"
#include "engine/io/gguf_quants.h"
#include "models/family.h"
#include "tools/ftengine/commands.h"

namespace ft {
namespace {

struct Format {
  std::string_view name, row;
};
constexpr Format kFormats[] = {
    {"alpaca", R"({"instruction": …, "input": … (optional), "output": …, "system": … (optional)})"},
    {"prompt_completion", R"({"prompt": …, "completion": …, "system": … (optional)})"},
    {"chat",
     R"({"messages": [{"role": …, "content": …}, …]}, or {"conversations": [{"from": …, "value": …}, …]})"},
    {"text", R"({"text": …}, or a whole file of plain text; rows of data.block_size tokens)"},
    {"tokenized", R"({"input_ids": [1, 2, 3], "labels": [-100, -100, 3] (optional)}; needs no tokenizer)"},
};

void row(std::string_view name, std::string_view text) {
  fmt::print("  {:<18} {}\n", name, text);
}

void list_all() {
  fmt::print("adapters (adapter.peft_type)\n");
  for (const AdapterKind& k : adapter_kinds())
    row(k.peft_type,
        fmt::format("{}; default learning_rate {:g}{}", k.description, k.learning_rate,
                    k.projected_rate > 0 ? fmt::format(" (prefix_projection: {:g})", k.projected_rate) : ""));
  fmt::print("\nmodels (model_type of config.json; Hugging Face folders of safetensors, and GGUF files)\n");
  for (const Family& f : families())
    row(f.model_type, fmt::format("{}; {}{}", f.description, f.architecture,
                                  f.from_gguf ? fmt::format("; GGUF \"{}\"", f.gguf_architecture) : ""));
  row("types", fmt::format("safetensors F32, F16, BF16; GGUF {}", readable_ggml_types()));
  fmt::print("\ntemplates (data.template)\n");
  for (const TemplateInfo& t : template_list()) row(t.name, t.description);
  row("inline", "{prompt: \"…{instruction}…\", completion_suffix: \"…\"}");
  fmt::print("\ndata formats (data.*.format; JSONL, a JSON array, CSV or TSV)\n");
  for (const Format& f : kFormats) row(f.name, f.row);
  fmt::print("\ndevices (device)\n");
  for (const std::string& name : device_names())
    row(name,
        name == "cpu" ? "float32 arithmetic; frozen weights as float32, bfloat16 or float16"
        : name == "cuda"
            ? "float32, or 16-bit activations with training.bf16 or fp16: true; cuda:N names one of several"
            : "the CUDA kernels, executed by an interpreter of their PTX: for tests, slow");
  fmt::print("\nkeys of exp.yaml with their defaults (adapter: see each method)\n{}", defaults_text());
}

}  // namespace

void register_list(CLI::App& app) {
  app.add_subcommand("list", "list adapters, models, templates, formats, devices and defaults")
      ->callback(list_all);
}

}  // namespace ft
