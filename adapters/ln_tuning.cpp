// LayerNorm tuning (Zhao et al. 2023, "Tuning LayerNorm in Attention: Towards Efficient Multi-Modal LLM
// Finetuning"): the weights (and biases) of norm layers are trained and nothing else. Copies stand in the
// base's places while they train; nothing below the lowest of them is computed on the way back. Field names,
// default modules and files are PEFT's (0.21).
#include <algorithm>
#include <optional>

#include "adapters/modules_to_save.h"
#include "adapters/peft_fields.h"
#include "adapters/registry.h"
#include "adapters/targets.h"
#include "engine/config/nearest.h"

namespace ft {
namespace {

struct LnTuningConfig {
  ModuleChoice target_modules, exclude_modules;
  std::vector<int64_t> layers;
  std::vector<std::string> modules_to_save;
};

/// PEFT's norms of a family where the configuration names none; empty for a family it does not know.
std::vector<std::string> family_norms(std::string_view model_type) {
  if (model_type == "gpt2") return {"ln_1", "ln_2", "ln_f"};
  if (model_type == "bloom") return {"input_layernorm", "post_attention_layernorm", "ln_f"};
  if (model_type == "llama") return {"input_layernorm", "post_attention_layernorm", "norm"};
  if (model_type == "qwen2" || model_type == "qwen3") return {"post_attention_layernorm"};
  return {};
}

LnTuningConfig read_config(const ConfigNode& node, const std::string& section, bool saved) {
  LnTuningConfig c;
  Fields f(node, section);
  ignore_file_fields(f);
  read_choice(f, "target_modules", c.target_modules);
  read_choice(f, "exclude_modules", c.exclude_modules);
  for (const auto& [key, choice] :
       {std::pair("target_modules", &c.target_modules), {"exclude_modules", &c.exclude_modules}})
    if (choice->all_linear)
      f.fail(key, "expected names of norm layers or a regular expression, got all-linear");
  read_layers(f, c.layers);
  read_names(f, "modules_to_save", c.modules_to_save);
  finish_fields(f, saved);
  return c;
}

std::string module_of(const Slot& slot) {
  return slot.name.substr(0, slot.name.rfind('.'));
}

/// Names of all norm layers: the modules whose weight is a vector.
std::vector<std::string> all_norms(Model& model) {
  std::vector<std::string> norms;
  for (const Slot* slot : model.slots())
    if (slot->name.ends_with(".weight") && slot->parameter->shape.rank() == 1)
      norms.push_back(module_of(*slot));
  return norms;
}

class LnTuning : public Adapter {
 public:
  explicit LnTuning(LnTuningConfig config) : config_(std::move(config)) {}

  std::string_view peft_type() const override { return "LN_TUNING"; }

  void attach(Model& model, const AttachOptions& options) override {
    saved_ = save_modules(model, config_.modules_to_save, options, copies_);
    ModuleChoice& targets = config_.target_modules;
    if (targets.empty()) targets.names = family_norms(model.facts().model_type);
    if (targets.empty())
      bad_input("{}: target_modules: {} models have no default; name the norm layers", options.where,
                model.facts().model_type);
    const std::vector<std::string> chosen = find_norms(model, options.where);
    for (Slot* slot : model.slots()) {
      const std::string module = module_of(*slot);
      if (std::find(chosen.begin(), chosen.end(), module) == chosen.end()) continue;
      if (slot->parameter->trainable)
        bad_input("{}: {} is trained by something else already (modules_to_save, another adapter)",
                  options.where, slot->name);
      norms_.push_back({"base_model.model." + module + ".ln_tuning_layers" + slot->name.substr(module.size()),
                        &train_copy(model, *slot, options, copies_)});
    }
    // PEFT knows no layers_to_transform here: the file names the modules.
    if (!config_.layers.empty()) {
      targets = config_.exclude_modules = {};
      targets.names = chosen;
    }
  }

  std::vector<AdapterTensor> tensors() const override {
    std::vector<AdapterTensor> all = norms_;
    all.insert(all.end(), saved_.begin(), saved_.end());
    return all;
  }

  nlohmann::ordered_json config_json(const std::string& base) const override {
    nlohmann::ordered_json j = file_fields(peft_type(), base);
    j["target_modules"] = to_json(config_.target_modules);
    j["exclude_modules"] =
        config_.exclude_modules.empty() ? nlohmann::ordered_json() : to_json(config_.exclude_modules);
    j["modules_to_save"] = list_or_null(config_.modules_to_save);
    return j;
  }

  // What is trained stands in the model's slots: there is nothing to fold in.
  bool mergeable() const override { return true; }
  bool passes_repeat() const override { return true; }

 private:
  std::vector<std::string> find_norms(Model& model, const std::string& where) const {
    check_layers(model, config_.layers, where);
    const std::vector<std::string> norms = all_norms(model);
    const ModuleChoice& targets = config_.target_modules;
    const auto named = [](const ModuleChoice& choice, const std::string& module) {
      if (!choice.pattern.empty()) return matches_whole(choice.pattern, module);
      return std::any_of(choice.names.begin(), choice.names.end(),
                         [&](const std::string& n) { return names_module(n, module); });
    };
    const auto names_one = [&](const std::string& name) {
      return std::any_of(norms.begin(), norms.end(),
                         [&](const std::string& module) { return names_module(name, module); });
    };
    for (const std::string& name : targets.names)
      if (!names_one(name)) no_match(model, norms, name, where);
    std::vector<std::string> found;
    bool any = false;
    for (const std::string& module : norms) {
      if (!named(targets, module)) continue;
      any = true;
      if (in_layers(model, config_.layers, module) && !named(config_.exclude_modules, module))
        found.push_back(module);
    }
    if (!any) no_match(model, norms, targets.pattern, where);
    if (found.empty())
      bad_input("{}: target_modules: everything that they name is excluded or in other layers", where);
    return found;
  }

  [[noreturn]] static void no_match(const Model& model, const std::vector<std::string>& norms,
                                    const std::string& name, const std::string& where) {
    std::vector<std::string> known;  // the last parts of the names
    for (const std::string& module : norms) {
      const std::string last = module.substr(module.rfind('.') + 1);
      if (std::find(known.begin(), known.end(), last) == known.end()) known.push_back(last);
    }
    const std::optional<std::string> near = nearest(name, known);
    bad_input("{}: target_modules: no norm layer of this {} model is called '{}'{}; it has: {}", where,
              model.facts().model_type, name, near ? fmt::format("; did you mean '{}'?", *near) : "",
              fmt::join(known, ", "));
  }

  LnTuningConfig config_;
  std::vector<AdapterTensor> norms_, saved_;
};

}  // namespace

std::unique_ptr<Adapter> make_ln_tuning(const ConfigNode& config, const std::string& section, bool saved) {
  return std::make_unique<LnTuning>(read_config(config, section, saved));
}

}  // namespace ft
