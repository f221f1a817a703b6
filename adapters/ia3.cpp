// (IA)³ (Liu et al. 2022, "Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context
// Learning"): a linear layer's output, or the input of a feed-forward one, times a learned vector l, column
// by column: h = l ⊙ (W x + b), or h = W (l ⊙ x) + b. l starts at one, so training starts at the base. Field
// names, default modules, matching rules and files are PEFT's (0.21).
#include <algorithm>
#include <deque>
#include <unordered_map>

#include "adapters/modules_to_save.h"
#include "adapters/peft_fields.h"
#include "adapters/registry.h"
#include "adapters/targets.h"
#include "engine/core/rng.h"
#include "engine/ops/column_scale.h"

namespace ft {
namespace {

struct Ia3Config {
  ModuleChoice target_modules, exclude_modules, feedforward_modules;
  bool feedforward_given = false;  // an empty list is an answer: all vectors act on outputs
  bool fan_in_fan_out = false;
  bool init_ia3_weights = true;  // false: normal numbers
  std::vector<int64_t> layers;
  std::vector<std::string> modules_to_save;
};

/// PEFT's modules of a family where the configuration names none.
struct FamilyModules {
  std::string_view model_type;
  std::vector<std::string> target_modules, feedforward_modules;
};
const FamilyModules* family_modules(const std::string& model_type) {
  static const std::vector<FamilyModules> families = {
      {"gpt2", {"c_attn", "mlp.c_proj"}, {"mlp.c_proj"}},
      {"bloom", {"query_key_value", "mlp.dense_4h_to_h"}, {"mlp.dense_4h_to_h"}},
      {"llama", {"k_proj", "v_proj", "down_proj"}, {"down_proj"}},
      {"qwen2", {"q_proj", "v_proj", "down_proj"}, {"down_proj"}},
      {"qwen3", {"q_proj", "v_proj", "down_proj"}, {"down_proj"}},
  };
  const auto found = std::find_if(families.begin(), families.end(),
                                  [&](const FamilyModules& f) { return f.model_type == model_type; });
  return found == families.end() ? nullptr : &*found;
}

bool subset(const std::vector<std::string>& part, const std::vector<std::string>& whole) {
  return std::all_of(part.begin(), part.end(), [&](const std::string& name) {
    return std::find(whole.begin(), whole.end(), name) != whole.end();
  });
}

Ia3Config read_config(const ConfigNode& node, const std::string& section, bool saved) {
  Ia3Config c;
  Fields f(node, section);
  ignore_file_fields(f);
  read_choice(f, "target_modules", c.target_modules);
  read_choice(f, "exclude_modules", c.exclude_modules);
  const ConfigNode* feedforward = f.node("feedforward_modules");
  c.feedforward_given = feedforward && !feedforward->is_null();
  if (c.feedforward_given && !(feedforward->is_list() && feedforward->items().empty()))
    read_choice(f, "feedforward_modules", c.feedforward_modules);
  if (c.feedforward_modules.all_linear)
    f.fail("feedforward_modules", "expected names of modules or a regular expression, got all-linear");
  if (!c.target_modules.names.empty() && !subset(c.feedforward_modules.names, c.target_modules.names))
    f.fail("feedforward_modules", "names a module that target_modules does not; add it there");
  f.get("fan_in_fan_out", c.fan_in_fan_out);
  f.get("init_ia3_weights", c.init_ia3_weights);
  read_layers(f, c.layers);
  read_names(f, "modules_to_save", c.modules_to_save);
  finish_fields(f, saved);
  return c;
}

class Ia3 : public Adapter, public LinearAdapter {
 public:
  explicit Ia3(Ia3Config config) : config_(std::move(config)) {}

  std::string_view peft_type() const override { return "IA3"; }

  void attach(Model& model, const AttachOptions& options) override {
    saved_ = save_modules(model, config_.modules_to_save, options, copies_);
    settle_modules(model, options.where);
    const TargetQuery query{
        config_.target_modules, config_.exclude_modules, config_.layers, {}, options.where};
    for (Linear* l : find_targets(model, query)) {
      if (l->weight.parameter->trainable)
        bad_input("{}: {} is named by both target_modules and modules_to_save; take it out of one",
                  options.where, l->name);
      if (l->is_head)
        bad_input(
            "{}: target_modules: IA3 on the output head {} is not supported; name it in "
            "modules_to_save to train it",
            options.where, l->name);
      add_site(*l, options);
    }
    settle_names();
  }

  std::vector<AdapterTensor> tensors() const override {
    std::vector<AdapterTensor> all;
    for (const Site& s : sites_) all.push_back({"base_model.model." + s.linear->name + ".ia3_l", s.scale});
    all.insert(all.end(), saved_.begin(), saved_.end());
    return all;
  }

  nlohmann::ordered_json config_json(const std::string& base) const override {
    nlohmann::ordered_json j = file_fields(peft_type(), base);
    j["target_modules"] = to_json(config_.target_modules);
    j["exclude_modules"] =
        config_.exclude_modules.empty() ? nlohmann::ordered_json() : to_json(config_.exclude_modules);
    j["feedforward_modules"] = to_json(config_.feedforward_modules);
    j["fan_in_fan_out"] = config_.fan_in_fan_out;
    j["modules_to_save"] = list_or_null(config_.modules_to_save);
    j["init_ia3_weights"] = config_.init_ia3_weights;
    return j;
  }

  bool mergeable() const override { return true; }
  bool passes_repeat() const override { return true; }
  void set_active(bool active) override {
    Adapter::set_active(active);
    enabled = active;
  }

  // Saved modules stand in the model's slots already. Rows of W are outputs, columns inputs.
  void merge(const Slot& slot, std::vector<float>& values) const override {
    for (const Site& s : sites_) {
      const bool weight = &s.linear->weight == &slot, bias = &s.linear->bias == &slot;
      if (!weight && !(bias && !s.input)) continue;
      const std::vector<float> scale = to_plain(*s.scale);
      const size_t in = weight ? static_cast<size_t>(s.linear->in()) : 1;
      for (size_t i = 0; i < values.size(); ++i) values[i] *= scale[s.input ? i % in : i / in];
    }
  }

  Var before(Forward& f, const Linear& linear, const Var& x) override {
    const Site& s = sites_[by_linear_.at(&linear)];
    return s.input ? column_scale(f.tape, x, *s.scale) : x;
  }
  Var after(Forward& f, const Linear& linear, const Var&, const Var& y) override {
    const Site& s = sites_[by_linear_.at(&linear)];
    return s.input ? y : column_scale(f.tape, y, *s.scale);
  }

 private:
  struct Site {
    Linear* linear;
    Parameter* scale;  // PEFT's shapes: [out, 1], or [1, in] for `input`
    bool input;
  };

  void settle_modules(const Model& model, const std::string& where) {
    const std::string& type = model.facts().model_type;
    const FamilyModules* family = family_modules(type);
    const auto settle = [&](const char* field, ModuleChoice& choice, auto FamilyModules::*names) {
      if (!family) bad_input("{}: {}: {} models have no default; name the modules", where, field, type);
      choice.names = family->*names;
    };
    if (config_.target_modules.empty())
      settle("target_modules", config_.target_modules, &FamilyModules::target_modules);
    if (!config_.feedforward_given)
      settle("feedforward_modules", config_.feedforward_modules, &FamilyModules::feedforward_modules);
  }

  // PEFT's rule is not the one of target_modules: the end of a name counts, whole parts or not.
  bool is_feedforward(const std::string& module) const {
    const ModuleChoice& choice = config_.feedforward_modules;
    if (!choice.pattern.empty()) return matches_whole(choice.pattern, module);
    return std::any_of(choice.names.begin(), choice.names.end(),
                       [&](const std::string& n) { return module.ends_with(n); });
  }

  void add_site(Linear& l, const AttachOptions& options) {
    const bool input = is_feedforward(l.name);
    parameters_.push_back(Parameter::make(l.name + ".ia3_l", input ? Shape{1, l.in()} : Shape{l.out(), 1},
                                          Parameter::Layout::plain, options.compute, MemoryClass::trainable,
                                          options.device));
    Parameter& p = parameters_.back();
    Rng rng(options.seed, p.name);
    std::vector<float> values(static_cast<size_t>(p.numel()));
    for (float& v : values) v = config_.init_ia3_weights ? 1 : rng.normal();
    from_plain(p, values);
    p.train(options.compute);
    by_linear_[&l] = sites_.size();
    sites_.push_back({&l, &p, input});
    l.adapters.push_back(this);
    config_.fan_in_fan_out = l.conv1d;
  }

  // What is saved must mean the same to PEFT, which knows no layers_to_transform here and wants
  // feedforward_modules to be some of target_modules: else modules are listed by their whole names.
  void settle_names() {
    ModuleChoice &targets = config_.target_modules, &feedforward = config_.feedforward_modules;
    const bool said = targets.names.empty() || subset(feedforward.names, targets.names);
    if (said && config_.layers.empty()) return;
    targets = feedforward = config_.exclude_modules = {};
    for (const Site& s : sites_) {
      targets.names.push_back(s.linear->name);
      if (s.input) feedforward.names.push_back(s.linear->name);
    }
  }

  Ia3Config config_;
  std::vector<Site> sites_;
  std::unordered_map<const Linear*, size_t> by_linear_;
  std::deque<Parameter> parameters_;
  std::vector<AdapterTensor> saved_;
};

}  // namespace

std::unique_ptr<Adapter> make_ia3(const ConfigNode& config, const std::string& section, bool saved) {
  return std::make_unique<Ia3>(read_config(config, section, saved));
}

}  // namespace ft
