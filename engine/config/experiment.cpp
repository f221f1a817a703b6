#include "engine/config/experiment.h"

#include <algorithm>

#include "engine/config/fields.h"
#include "engine/config/read_sections.h"
#include "engine/config/yaml.h"

namespace ft {
namespace {

constexpr std::string_view kNoAdapter =
    "write adapter: {peft_type: LORA, r: 8, lora_alpha: 16}, or {peft_type: NONE} for full fine-tuning";

/// The mapping with its relative init_from made absolute, so that an adapter can be read without its source.
ConfigNode read_adapter(const ConfigNode& node, const std::string& name) {
  if (!node.is_map()) bad_value(node, name, "a mapping such as {peft_type: LORA, r: 8}");
  ConfigNode adapter = node;
  if (ConfigNode* from = adapter.find("init_from"); from && !from->is_null()) {
    std::filesystem::path path;
    read(*from, name + ".init_from", path);
    ConfigNode absolute = path.string();
    absolute.set_origin(from->source(), from->line());
    *from = std::move(absolute);
  }
  return adapter;
}

std::vector<ConfigNode> read_adapters(const ConfigNode* node) {
  if (!node || node->is_null()) return {};
  if (!node->is_list()) return {read_adapter(*node, "adapter")};
  std::vector<ConfigNode> adapters;
  for (size_t i = 0; i < node->size(); ++i) {
    adapters.push_back(read_adapter((*node)[i], fmt::format("adapter.{}", i)));
  }
  return adapters;
}

/// auto, cpu, cuda, cuda:N (N below 1000) or cuda-sim.
bool is_device(std::string_view text) {
  if (text == "auto" || text == "cpu" || text == "cuda" || text == "cuda-sim") return true;
  if (!text.starts_with("cuda:")) return false;
  const std::string_view number = text.substr(5);
  return !number.empty() && number.size() <= 3 &&
         std::ranges::all_of(number, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Experiment parse_experiment(const ConfigNode& root, const LoadOptions& options) {
  if (root.is_null()) bad_input("{}: empty; it needs model, adapter, data and training", root.where());
  Fields fields(root, "");
  const ConfigNode* model = fields.node("model");
  const ConfigNode* adapter = fields.node("adapter");
  const ConfigNode* data = fields.node("data");
  const ConfigNode* training = fields.node("training");
  const ConfigNode* generation = fields.node("generation");
  Experiment experiment;
  fields.get("trainable", experiment.trainable);
  fields.get("device", experiment.device);
  fields.ignore("ftengine");
  fields.finish(other_section);
  fields.require("model", "write model: {path: FOLDER}");
  fields.require("data", "write data: {train: {path: FILE, format: alpaca}}");
  fields.require("training", "write training: {output_dir: FOLDER}");

  experiment.model = read_model(*model, options);
  experiment.adapters = read_adapters(adapter);
  if (experiment.adapters.empty() && experiment.trainable.empty()) {
    fields.require("adapter", kNoAdapter);
    fields.fail("adapter", kNoAdapter);
  }
  experiment.data = read_data(*data, options);
  experiment.training = read_training(*training, experiment.data);
  if (generation) experiment.generation = read_generation(*generation);
  if (!is_device(experiment.device)) {
    bad_value(*fields.node("device"), "device", "auto, cpu, cuda, cuda:N or cuda-sim");
  }
  return experiment;
}

Experiment load_experiment(const std::filesystem::path& yaml, std::span<const std::string> overrides,
                           const LoadOptions& options) {
  ConfigNode root = load_yaml(yaml);
  for (const std::string& assignment : overrides) apply_override(root, assignment);
  Experiment experiment = parse_experiment(root, options);
  std::error_code error;
  experiment.yaml = std::filesystem::absolute(yaml, error).lexically_normal();
  return experiment;
}

}  // namespace ft
