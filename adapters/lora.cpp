// LoRA (Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models"): h = W x + (alpha / r) · B A x,
// with W frozen, A [r, in] started at random and B [out, r] at zero. rsLoRA (Kalajdzievski 2023) scales by
// alpha / √r. Field names, matching rules, initial distributions and files are PEFT's (0.21).
#include <algorithm>
#include <cmath>
#include <deque>
#include <unordered_map>

#include "adapters/modules_to_save.h"
#include "adapters/registry.h"
#include "adapters/targets.h"
#include "engine/config/fields.h"
#include "engine/core/rng.h"

namespace ft {
namespace {

enum class Bias { none, all, lora_only };
constexpr std::array<EnumName<Bias>, 3> enum_names(Bias) {
  return {{{Bias::none, "none"}, {Bias::all, "all"}, {Bias::lora_only, "lora_only"}}};
}
enum class Init { kaiming, gaussian, random };  // init_lora_weights: true, gaussian, false

struct LoraConfig {
  int64_t r = 8;
  double alpha = 8;
  double dropout = 0;
  ModuleChoice target_modules, exclude_modules;
  Bias bias = Bias::none;
  bool fan_in_fan_out = false;
  bool use_rslora = false;
  std::vector<std::pair<std::string, int64_t>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;
  std::vector<int64_t> layers_to_transform;
  std::vector<std::string> layers_pattern;
  Init init = Init::kaiming;
  std::vector<std::string> modules_to_save;
  ConfigNode source;
};

constexpr int64_t kMaxRank = 4096;

// A list, one value, or null.
template <class T>
void read_list(Fields& f, std::string_view key, std::vector<T>& list, bool (*is_one)(const ConfigNode&)) {
  const ConfigNode* node = f.node(key);
  if (!node || node->is_null()) return;
  if (is_one(*node))
    read(*node, f.name(key), list.emplace_back());
  else
    read(*node, f.name(key), list);
}

LoraConfig read_config(const ConfigNode& node, const std::string& section, bool saved) {
  LoraConfig c;
  Fields f(node, section);
  std::string ignored;
  f.get("peft_type", ignored);
  f.get("r", c.r, between(1, kMaxRank));
  f.get("lora_alpha", c.alpha, positive());
  f.get("lora_dropout", c.dropout, probability());
  read_choice(f, "target_modules", c.target_modules);
  read_choice(f, "exclude_modules", c.exclude_modules);
  f.get("bias", c.bias);
  f.get("fan_in_fan_out", c.fan_in_fan_out);
  f.get("use_rslora", c.use_rslora);
  f.get("rank_pattern", c.rank_pattern, between(1, kMaxRank));
  f.get("alpha_pattern", c.alpha_pattern, positive());
  read_list(f, "layers_to_transform", c.layers_to_transform,
            [](const ConfigNode& n) { return n.kind() == ConfigNode::Kind::integer; });
  read_list(f, "layers_pattern", c.layers_pattern, [](const ConfigNode& n) { return n.is_string(); });
  read_list(f, "modules_to_save", c.modules_to_save, [](const ConfigNode&) { return false; });
  if (const ConfigNode* init = f.node("init_lora_weights")) {
    if (init->kind() == ConfigNode::Kind::boolean)
      c.init = init->boolean() ? Init::kaiming : Init::random;
    else if (init->is_string() && init->string() == "gaussian")
      c.init = Init::gaussian;
    else
      f.fail("init_lora_weights", fmt::format("expected true, false or gaussian, got {}", init->describe()));
  }
  // What PEFT writes about the file, not about the method; and spellings of other tools.
  for (const char* key :
       {"task_type", "base_model_name_or_path", "revision", "auto_mapping", "inference_mode", "peft_version",
        "megatron_core", "qalora_group_size", "init_from"})
    f.node(key);
  f.renamed("rank", "r");
  f.renamed("lora_r", "r");
  f.renamed("alpha", "lora_alpha");
  f.renamed("dropout", "lora_dropout");
  for (const char* key :
       {"use_dora", "lora_bias", "loftq_config", "eva_config", "corda_config", "layer_replication",
        "megatron_config", "target_parameters", "trainable_token_indices", "use_qalora",
        "alora_invocation_tokens", "arrow_config", "ensure_weight_tying"})
    f.accept_null_or_default(key);
  if (saved)
    f.finish_lenient();
  else
    f.finish();
  c.source = node;
  return c;
}

class Lora : public Adapter, public LinearAdapter {
 public:
  explicit Lora(LoraConfig config) : config_(std::move(config)) {}

  std::string_view peft_type() const override { return "LORA"; }

  void attach(Model& model, const AttachOptions& options) override {
    // Copies first: a LoRA on a module that is saved whole would act on the copy, which PEFT refuses as well.
    saved_ = save_modules(model, config_.modules_to_save, options);
    TargetQuery query{config_.target_modules, config_.exclude_modules, config_.layers_to_transform,
                      config_.layers_pattern, options.where};
    if (query.targets.empty()) query.targets.names = model.facts().lora_targets;
    config_.target_modules = query.targets;
    const std::vector<Linear*> linears = model.linears(), targets = find_targets(model, query);
    for (Linear* l : targets) {
      if (l->weight.parameter->trainable)
        bad_input("{}: {} is named by both target_modules and modules_to_save; take it out of one",
                  options.where, l->name);
      const auto place =
          static_cast<uint32_t>(std::find(linears.begin(), linears.end(), l) - linears.begin());
      add_site(*l, (1u << 16) * static_cast<uint32_t>(1 + options.index) + place, options);
      config_.fan_in_fan_out = l->conv1d;
      if (l->is_head && model.facts().tied)
        saved_.push_back(
            {"base_model.model." + l->name + ".base_layer.weight", l->weight.parameter, false, true});
    }
    train_biases(model, targets, options);
  }

  std::vector<AdapterTensor> tensors() const override {
    std::vector<AdapterTensor> all;
    for (const Site& s : sites_) {
      all.push_back({"base_model.model." + s.linear->name + ".lora_A.weight", s.a});
      all.push_back({"base_model.model." + s.linear->name + ".lora_B.weight", s.b_t, true});
    }
    all.insert(all.end(), biases_.begin(), biases_.end());
    all.insert(all.end(), saved_.begin(), saved_.end());
    return all;
  }

  nlohmann::ordered_json config_json(const std::string& base) const override {
    const auto or_null = [](const auto& list) {
      return list.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(list);
    };
    nlohmann::ordered_json j = {{"peft_type", "LORA"},
                                {"task_type", "CAUSAL_LM"},
                                {"base_model_name_or_path", base},
                                {"inference_mode", true},
                                {"r", config_.r},
                                {"lora_alpha", number(config_.alpha)},
                                {"lora_dropout", config_.dropout},
                                {"target_modules", to_json(config_.target_modules)},
                                {"bias", name_of(config_.bias)},
                                {"fan_in_fan_out", config_.fan_in_fan_out},
                                {"use_rslora", config_.use_rslora},
                                {"init_lora_weights", true},
                                {"modules_to_save", or_null(config_.modules_to_save)},
                                {"layers_to_transform", or_null(config_.layers_to_transform)},
                                {"layers_pattern", or_null(config_.layers_pattern)},
                                {"rank_pattern", nlohmann::ordered_json::object()},
                                {"alpha_pattern", nlohmann::ordered_json::object()}};
    j["exclude_modules"] =
        config_.exclude_modules.empty() ? nlohmann::ordered_json() : to_json(config_.exclude_modules);
    if (config_.init == Init::gaussian) j["init_lora_weights"] = "gaussian";
    if (config_.init == Init::random) j["init_lora_weights"] = false;
    for (const auto& [key, rank] : config_.rank_pattern) j["rank_pattern"][key] = rank;
    for (const auto& [key, alpha] : config_.alpha_pattern) j["alpha_pattern"][key] = number(alpha);
    return j;
  }

  bool mergeable() const override { return true; }
  bool has_dropout() const override { return config_.dropout > 0; }
  void set_active(bool active) override {
    Adapter::set_active(active);
    enabled = active;
  }

  // Trained biases and saved modules stand in the model's slots already; what is left to fold in is B A.
  void merge(const Slot& slot, std::vector<float>& values) const override {
    for (const Site& s : sites_) {
      if (&s.linear->weight != &slot) continue;
      const std::vector<float> a = to_plain(*s.a), b_t = to_plain(*s.b_t);
      const int64_t in = s.a->shape[1], out = s.b_t->shape[1], rank = s.a->shape[0];
      std::vector<double> row(static_cast<size_t>(in));
      for (int64_t n = 0; n < out; ++n) {
        std::fill(row.begin(), row.end(), 0.0);
        for (int64_t i = 0; i < rank; ++i)
          for (int64_t k = 0; k < in; ++k) row[k] += static_cast<double>(b_t[i * out + n]) * a[i * in + k];
        for (int64_t k = 0; k < in; ++k)
          values[n * in + k] = static_cast<float>(values[n * in + k] + s.scale * row[k]);
      }
    }
  }

  void low_rank(Forward& f, const Linear& linear, std::vector<LowRankTerm>& terms) override {
    const Site& s = sites_[by_linear_.at(&linear)];
    const float p = f.training ? static_cast<float>(config_.dropout) : 0.f;
    terms.push_back({s.a, s.b_t, s.scale, p, f.dropout_key, s.dropout_site});
  }

 private:
  struct Site {
    Linear* linear;
    Parameter *a, *b_t;
    double scale;
    uint32_t dropout_site;
  };

  static nlohmann::ordered_json number(double v) {
    if (v == std::floor(v) && std::abs(v) < 1e15) return static_cast<int64_t>(v);
    return v;
  }

  void add_site(Linear& l, uint32_t dropout_site, const AttachOptions& options) {
    const int64_t* pattern_rank = find_pattern(config_.rank_pattern, l.name);
    const double* pattern_alpha = find_pattern(config_.alpha_pattern, l.name);
    const int64_t rank = pattern_rank ? *pattern_rank : config_.r;
    const double alpha = pattern_alpha ? *pattern_alpha : config_.alpha;
    const auto matrix = [&](const char* which, int64_t cols) {
      parameters_.push_back(Parameter::make(fmt::format("{}.{}", l.name, which), {rank, cols},
                                            Parameter::Layout::plain, options.compute, MemoryClass::trainable,
                                            options.device));
      return &parameters_.back();
    };
    Site s{&l, matrix("lora_A", l.in()), matrix("lora_B", l.out()),
           alpha / (config_.use_rslora ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank)),
           dropout_site};
    initialise(*s.a, l.in(), options.seed, config_.init == Init::gaussian);
    if (config_.init == Init::random)
      initialise(*s.b_t, rank, options.seed, false);
    else
      s.b_t->value.zero();
    s.a->train(options.compute);
    s.b_t->train(options.compute);
    by_linear_[&l] = sites_.size();
    sites_.push_back(s);
    l.adapters.push_back(this);
  }

  // PyTorch's kaiming_uniform(a = √5) of a linear layer is U(−1/√in, 1/√in); gaussian is N(0, 1/r²).
  void initialise(Parameter& p, int64_t fan_in, uint64_t seed, bool gaussian) {
    Rng rng(seed, p.name);
    std::vector<float> values(static_cast<size_t>(p.numel()));
    const float bound = 1 / std::sqrt(static_cast<float>(fan_in)),
                deviation = 1 / static_cast<float>(p.shape[0]);
    for (float& v : values) v = gaussian ? rng.normal() * deviation : rng.uniform(-bound, bound);
    from_plain(p, values);
  }

  // bias: all trains every bias of the model, lora_only those of the targets. Copies: the base stays as it
  // is.
  void train_biases(Model& model, const std::vector<Linear*>& targets, const AttachOptions& options) {
    if (config_.bias == Bias::none) return;
    for (Slot* slot : model.slots()) {
      if (!slot->name.ends_with(".bias") || slot->parameter->trainable) continue;
      const bool targeted =
          std::any_of(targets.begin(), targets.end(), [&](const Linear* l) { return &l->bias == slot; });
      if (config_.bias == Bias::lora_only && !targeted) continue;
      Parameter copy = Parameter::make(slot->name, slot->parameter->shape, slot->parameter->layout,
                                       options.compute, MemoryClass::trainable, options.device);
      from_plain(copy, to_plain(*slot->parameter));
      slot->parameter = &model.own(std::move(copy));
      slot->parameter->train(options.compute);
      const std::string module = slot->name.substr(0, slot->name.rfind('.'));
      biases_.push_back(
          {"base_model.model." + module + (targeted ? ".base_layer.bias" : ".bias"), slot->parameter});
    }
  }

  LoraConfig config_;
  std::vector<Site> sites_;
  std::unordered_map<const Linear*, size_t> by_linear_;
  std::deque<Parameter> parameters_;
  std::vector<AdapterTensor> biases_, saved_;
};

}  // namespace

std::unique_ptr<Adapter> make_lora(const ConfigNode& config, const std::string& section, bool saved) {
  return std::make_unique<Lora>(read_config(config, section, saved));
}

}  // namespace ft
