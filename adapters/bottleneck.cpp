// Bottleneck adapters: a small network beside the stream, with a skip connection of its own,
//   x → x + up(act(down(x)))
// on what a sublayer is about to add to the residual stream: after attention and feed-forward (Houlsby et al.
// 2019, "Parameter-Efficient Transfer Learning for NLP"), or after the feed-forward alone, where the network
// also sees the residual stream: x + up(act(down(x + residual))) (Pfeiffer et al. 2021, "AdapterFusion").
// Small weights and zero biases start it near the base. Nothing of it can be folded into a linear layer.
//
// PEFT lacks the method. The two files have its form; the tensors' names, and `config` in
// adapter_config.json, are those of AdapterHub's `adapters`, whose formulas these are on models that
// normalise first.
#include <algorithm>
#include <cmath>
#include <deque>

#include "adapters/peft_fields.h"
#include "adapters/registry.h"
#include "adapters/targets.h"
#include "engine/core/rng.h"
#include "engine/ops/activation.h"
#include "engine/ops/elementwise.h"

namespace ft {
namespace {

constexpr const char* kName = "default";  // AdapterHub's adapters have one, in the tensors' names too

enum class Architecture { houlsby, pfeiffer };

struct BottleneckConfig {
  Architecture architecture = Architecture::pfeiffer;
  double reduction_factor = 16;
  int64_t bottleneck_size = 0;  // > 0: instead of the factor
  std::string non_linearity;    // Hugging Face's name
  Activation activation{};
  double init_scale = 1e-2;  // standard deviation of the first weights, cut at two of them
  bool residual = true;      // the skip connection
  std::vector<int64_t> layers;
};

BottleneckConfig read_config(const ConfigNode& node, const std::string& section, bool saved) {
  BottleneckConfig c;
  Fields f(node, section);
  ignore_file_fields(f);
  f.get_enum("architecture", c.architecture,
             {{"houlsby", Architecture::houlsby}, {"pfeiffer", Architecture::pfeiffer}});
  const bool factor = f.has("reduction_factor"), size = f.has("bottleneck_size");
  if (factor) f.get("reduction_factor", c.reduction_factor, positive());
  if (size) f.get("bottleneck_size", c.bottleneck_size, between(1, 1 << 16));
  c.non_linearity = c.architecture == Architecture::houlsby ? "swish" : "relu";
  f.get("non_linearity", c.non_linearity);
  f.get("init_scale", c.init_scale, between(0.0, 10.0));
  f.get("residual", c.residual);
  read_layers(f, c.layers);
  for (const char* key : {"config", "name", "version", "model_type", "hidden_size"}) f.ignore(key);
  f.renamed("target_modules", "layers_to_transform");
  f.renamed("adapter_size", "bottleneck_size");
  f.renamed("activation", "non_linearity");
  finish_fields(f, saved);
  if (factor && size && !saved)
    f.fail("bottleneck_size", "and reduction_factor say the same thing; write one of them");
  try {
    c.activation = activation_from_name(c.non_linearity);
  } catch (const InputError&) {
    throw;
  } catch (const Error& e) {
    f.fail("non_linearity", e.what());
  }
  return c;
}

class Bottleneck : public Adapter, public BlockAdapter {
 public:
  explicit Bottleneck(BottleneckConfig config) : config_(std::move(config)) {}

  std::string_view peft_type() const override { return "BOTTLENECK"; }

  void attach(Model& model, const AttachOptions& options) override {
    const ModelFacts& facts = model.facts();
    check_layers(model, config_.layers, options.where);
    hidden_ = facts.hidden;
    layers_ = facts.layers;
    size_ = config_.bottleneck_size > 0
                ? config_.bottleneck_size
                : std::max<int64_t>(
                      1, static_cast<int64_t>(static_cast<double>(hidden_) / config_.reduction_factor));
    constexpr int64_t kMost = 1 << 16;
    if (size_ > kMost)
      bad_input("{}: reduction_factor {} makes a bottleneck of {}; the largest is {}", options.where,
                config_.reduction_factor, size_, kMost);
    const std::string stack = layer_stack(model);
    for (int64_t i = 0; i < layers_; ++i) {
      if (!in(i)) continue;
      const std::string layer = fmt::format("{}{}.", stack, i);
      if (config_.architecture == Architecture::houlsby)
        add_site(layer + "attention_adapters", i, Sublayer::attention, options);
      add_site(layer + "output_adapters", i, Sublayer::feed_forward, options);
    }
    model.block_adapters().push_back(this);
  }

  std::vector<AdapterTensor> tensors() const override {
    std::vector<AdapterTensor> all;
    for (const Site& s : sites_)
      for (Parameter* p : {s.down, s.down_bias, s.up, s.up_bias}) all.push_back({p->name, p});
    return all;
  }

  bool passes_repeat() const override { return true; }

  nlohmann::ordered_json config_json(const std::string& base) const override {
    const bool houlsby = config_.architecture == Architecture::houlsby;
    nlohmann::ordered_json j = file_fields(peft_type(), base);
    j["architecture"] = houlsby ? "houlsby" : "pfeiffer";
    if (config_.bottleneck_size > 0)
      j["bottleneck_size"] = config_.bottleneck_size;
    else
      j["reduction_factor"] = config_.reduction_factor;
    j["non_linearity"] = config_.non_linearity;
    j["init_scale"] = config_.init_scale;
    j["residual"] = config_.residual;
    j["layers_to_transform"] = list_or_null(config_.layers);
    if (!base.empty() && config_.residual) {  // of a file: AdapterHub's own words for the same
      j["name"] = kName;
      j["version"] = "adapters.1.0.0";
      j["config"] = adapter_hub_config();
    }
    return j;
  }

  void set_active(bool active) override {
    Adapter::set_active(active);
    enabled = active;
  }

  Var block(Forward& f, int layer, Sublayer sublayer, const Var& x, const Var& residual) override {
    const auto site = std::find_if(sites_.begin(), sites_.end(),
                                   [&](const Site& s) { return s.layer == layer && s.sublayer == sublayer; });
    if (site == sites_.end()) return x;
    const Var seen = config_.architecture == Architecture::pfeiffer ? add(f.tape, x, residual) : x;
    const Var inner =
        activation(f.tape, config_.activation, linear(f.tape, seen, {site->down, site->down_bias, {}}));
    const Var change = linear(f.tape, inner, {site->up, site->up_bias, {}});
    return config_.residual ? add(f.tape, x, change) : change;
  }
  bool acts_on(int layer) const override { return in(layer); }

 private:
  struct Site {
    int64_t layer;
    Sublayer sublayer;
    Parameter *down, *down_bias, *up, *up_bias;  // [size, hidden], [size], [hidden, size], [hidden]
  };

  nlohmann::ordered_json adapter_hub_config() const {
    const bool houlsby = config_.architecture == Architecture::houlsby;
    std::vector<int64_t> left_out;
    for (int64_t i = 0; i < layers_; ++i)
      if (!in(i)) left_out.push_back(i);
    // Its size is hidden / factor rounded down.
    const double factor = config_.bottleneck_size > 0
                              ? static_cast<double>(hidden_) / (static_cast<double>(size_) + 0.5)
                              : config_.reduction_factor;
    return {{"mh_adapter", houlsby},          {"output_adapter", true},
            {"reduction_factor", factor},     {"non_linearity", config_.non_linearity},
            {"original_ln_before", !houlsby}, {"original_ln_after", true},
            {"residual_before_ln", true},     {"adapter_residual_before_ln", false},
            {"init_weights", "houlsby"},      {"leave_out", left_out}};
  }

  bool in(int64_t layer) const {
    return config_.layers.empty() ||
           std::find(config_.layers.begin(), config_.layers.end(), layer) != config_.layers.end();
  }

  // "model.layers.", from the name of any linear layer inside it.
  static std::string layer_stack(Model& model) {
    const std::string part = "." + model.facts().layers_pattern + ".";
    const std::string& name = model.linears().front()->name;
    return name.substr(0, name.find(part) + part.size());
  }

  void add_site(const std::string& place, int64_t layer, Sublayer sublayer, const AttachOptions& options) {
    const std::string module = fmt::format("{}.adapters.{}.", place, kName);
    const auto make = [&](const char* name, Shape shape) {
      const auto layout = shape.rank() == 2 ? Parameter::Layout::packed : Parameter::Layout::plain;
      parameters_.push_back(Parameter::make(module + name, shape, layout, options.compute,
                                            MemoryClass::trainable, options.device));
      Parameter& p = parameters_.back();
      std::vector<float> values(static_cast<size_t>(p.numel()));
      Rng rng(options.seed, p.name);
      if (shape.rank() == 2)
        for (float& v : values) v = first_weight(rng);
      from_plain(p, values);
      p.train(options.compute);
      return &p;
    };
    sites_.push_back({layer, sublayer, make("adapter_down.0.weight", {size_, hidden_}),
                      make("adapter_down.0.bias", {size_}), make("adapter_up.weight", {hidden_, size_}),
                      make("adapter_up.bias", {hidden_})});
  }

  float first_weight(Rng& rng) const {
    float v = rng.normal();
    while (std::abs(v) > 2) v = rng.normal();
    return static_cast<float>(config_.init_scale) * v;
  }

  BottleneckConfig config_;
  int64_t hidden_ = 0, layers_ = 0, size_ = 0;
  std::vector<Site> sites_;
  std::deque<Parameter> parameters_;
};

}  // namespace

std::unique_ptr<Adapter> make_bottleneck(const ConfigNode& config, const std::string& section, bool saved) {
  return std::make_unique<Bottleneck>(read_config(config, section, saved));
}

}  // namespace ft
