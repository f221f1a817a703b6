// BitFit (Ben Zaken et al. 2022, "BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked
// Language-models"): the biases are trained and nothing else. Copies stand in the base's places while they
// train; a bias's gradient is a column sum, so no weight gradient is computed, and nothing below the lowest
// bias.
//
// PEFT lacks the method: the two files have its form, the tensors the base model's own names.
#include <algorithm>

#include "adapters/modules_to_save.h"
#include "adapters/peft_fields.h"
#include "adapters/registry.h"
#include "adapters/targets.h"

namespace ft {
namespace {

struct BitFitConfig {
  std::vector<std::string> bias_names;  // regular expressions; none: all biases
  std::vector<int64_t> layers;
  std::vector<std::string> modules_to_save;
};

BitFitConfig read_config(const ConfigNode& node, const std::string& section, bool saved) {
  BitFitConfig c;
  Fields f(node, section);
  ignore_file_fields(f);
  read_names(f, "bias_names", c.bias_names);
  read_layers(f, c.layers);
  read_names(f, "modules_to_save", c.modules_to_save);
  f.renamed("target_modules", "bias_names");
  finish_fields(f, saved);
  return c;
}

class BitFit : public Adapter {
 public:
  explicit BitFit(BitFitConfig config) : config_(std::move(config)) {}

  std::string_view peft_type() const override { return "BITFIT"; }

  void attach(Model& model, const AttachOptions& options) override {
    saved_ = save_modules(model, config_.modules_to_save, options, copies_);
    check_layers(model, config_.layers, options.where);
    const std::vector<Slot*> biases = all_biases(model, options.where);
    std::vector<bool> used(config_.bias_names.size());
    for (Slot* slot : biases) {
      bool chosen = config_.bias_names.empty();
      for (size_t i = 0; i < config_.bias_names.size(); ++i)
        if (matches_end(config_.bias_names[i], slot->name)) chosen = used[i] = true;
      if (!chosen || !in_layers(model, config_.layers, slot->name) || slot->parameter->trainable) continue;
      biases_.push_back({slot->name, &train_copy(model, *slot, options, copies_)});
    }
    for (size_t i = 0; i < used.size(); ++i)
      if (!used[i])
        bad_input("{}: bias_names: '{}' matches no bias of this {} model; the first layer with one has: {}",
                  options.where, config_.bias_names[i], model.facts().model_type,
                  fmt::join(names_of_a_layer(model, biases), ", "));
    if (biases_.empty())
      bad_input(
          "{}: BITFIT has no bias to train: those it may train are in layers that layers_to_transform "
          "leaves out, or trained already by modules_to_save",
          options.where);
  }

  std::vector<AdapterTensor> tensors() const override {
    std::vector<AdapterTensor> all = biases_;
    all.insert(all.end(), saved_.begin(), saved_.end());
    return all;
  }

  nlohmann::ordered_json config_json(const std::string& base) const override {
    nlohmann::ordered_json j = file_fields(peft_type(), base);
    j["bias_names"] = list_or_null(config_.bias_names);
    j["layers_to_transform"] = list_or_null(config_.layers);
    j["modules_to_save"] = list_or_null(config_.modules_to_save);
    return j;
  }

  // What is trained stands in the model's slots: there is nothing to fold in.
  bool mergeable() const override { return true; }
  bool passes_repeat() const override { return true; }

 private:
  static std::vector<Slot*> all_biases(Model& model, const std::string& where) {
    std::vector<Slot*> biases;
    for (Slot* slot : model.slots())
      if (slot->name == "bias" || slot->name.ends_with(".bias")) biases.push_back(slot);
    if (biases.empty())
      bad_input(
          "{}: BITFIT trains biases, and this {} model has none; take a model that has them (gpt2, qwen2, "
          "bloom), or LN_TUNING or LORA",
          where, model.facts().model_type);
    return biases;
  }

  static std::vector<std::string> names_of_a_layer(const Model& model, const std::vector<Slot*>& biases) {
    std::vector<std::string> names;
    const int64_t first = layer_of(model, biases.front()->name);
    for (const Slot* slot : biases)
      if (layer_of(model, slot->name) == first) names.push_back(slot->name);
    return names;
  }

  BitFitConfig config_;
  std::vector<AdapterTensor> biases_, saved_;
};

}  // namespace

std::unique_ptr<Adapter> make_bitfit(const ConfigNode& config, const std::string& section, bool saved) {
  return std::make_unique<BitFit>(read_config(config, section, saved));
}

}  // namespace ft
