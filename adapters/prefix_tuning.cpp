// Prefix tuning (Li and Liang 2021): every layer's attention reads learned keys and values before each
// sample's own. Columns of a row are PEFT's (0.21): layer 0's key, layer 0's value, layer 1's key, …, each
// kv_heads · D wide. Keys are as attention reads them (rotated, where the model rotates). With
// prefix_projection an encoder makes the rows: PEFT's MLP, or an LSTM (P-tuning v2, Liu et al. 2022).
//
// Beyond PEFT, kept in ftengine.json: the LSTM; layers_to_transform, whose file PEFT cannot load because it
// knows no layer without a prefix (zero keys would still take their share of the softmax); a start from
// words, whose keys and values the model itself makes. PEFT's start is RANDOM: normal numbers; left out, it
// is SAMPLE_VOCAB here.
#include <algorithm>

#include "adapters/peft_fields.h"
#include "adapters/prompt_learning.h"
#include "adapters/registry.h"

namespace ft {
namespace {

constexpr int64_t kMaxWidth = 1 << 16, kMaxLayers = 64;

struct PrefixConfig {
  PromptFields prompt;
  bool projection = false;
  Reparameterization encoder = Reparameterization::mlp;
  std::optional<int64_t> hidden;  // default: kv_heads · D
  int64_t encoder_layers = 2;     // of the LSTM
  double dropout = 0;             // between them
  bool zero = false;              // init_weights: zero
  PromptStart start = PromptStart::sample_vocab;
  std::string text;
  std::vector<int64_t> layers;  // layers_to_transform
};

PrefixConfig read_config(const ConfigNode& node, const std::string& section, bool saved) {
  PrefixConfig c;
  Fields f(node, section);
  c.prompt = read_prompt_fields(f, saved);
  f.get("prefix_projection", c.projection);
  f.get("encoder_hidden_size", c.hidden, between(1, kMaxWidth));
  const bool encoder = f.get("encoder_reparameterization_type", c.encoder);
  const bool layers = f.get("encoder_num_layers", c.encoder_layers, between(1, kMaxLayers));
  const bool dropout = f.get("encoder_dropout", c.dropout, probability());
  const bool lstm = c.encoder == Reparameterization::lstm;
  if (encoder && !c.projection) f.fail("encoder_reparameterization_type", "needs prefix_projection: true");
  if ((layers || dropout) && !lstm)
    f.fail(layers ? "encoder_num_layers" : "encoder_dropout",
           "belongs to prefix_projection: true with encoder_reparameterization_type: LSTM");
  if (const ConfigNode* weights = f.node("init_weights"); weights && !weights->is_null()) {
    if (!weights->is_string() || weights->string() != "zero") f.fail("init_weights", "expected zero or null");
    c.zero = true;
  }
  const bool start = f.get("prefix_tuning_init", c.start);
  if (f.has("prefix_tuning_init_text")) {
    f.get("prefix_tuning_init_text", c.text);
    if (!start) c.start = PromptStart::text;
    if (c.start != PromptStart::text)
      f.fail("prefix_tuning_init_text", "has a meaning with prefix_tuning_init: TEXT only");
  }
  f.renamed("prefix_init_text", "prefix_tuning_init_text");
  read_layers(f, c.layers);
  finish_fields(f, saved);
  const bool from_text = c.start == PromptStart::text;
  if (!saved && (start || from_text) && (c.projection || c.zero))
    f.fail("prefix_tuning_init",
           "is the start of plain keys and values; take it out, or prefix_projection and init_weights");
  if (from_text && c.text.empty() && !saved)
    f.fail("prefix_tuning_init", "TEXT needs prefix_tuning_init_text: the words to start from");
  if (c.prompt.automatic && !from_text)
    f.fail("num_virtual_tokens",
           "auto is the length of the text to start from; give prefix_tuning_init: TEXT, or a number");
  return c;
}

class PrefixTuning : public PromptLearning {
 public:
  explicit PrefixTuning(PrefixConfig config) : PromptLearning(config.prompt), config_(std::move(config)) {}

  std::string_view peft_type() const override { return "PREFIX_TUNING"; }
  int64_t prefix_rows() const override { return fields_.rows; }

  void attach(Model& model, const AttachOptions& options) override {
    facts_ = model.facts();
    settle_layers(options.where);
    std::vector<int32_t> ids;
    const bool plain = !config_.projection && !config_.zero && !fields_.saved;
    if (plain) ids = start_ids(config_.start, config_.text, facts_, options);
    make_table(width(), options);
    if (config_.projection && options.training)
      make_encoder(lstm() ? PromptEncoder::Kind::lstm : PromptEncoder::Kind::projection,
                   {.rows = fields_.rows,
                    .in = kv(),
                    .hidden = hidden(),
                    .out = width(),
                    .layers = config_.encoder_layers,
                    .dropout = config_.dropout,
                    .zero_out = config_.zero},
                   options);
    if (plain) ids.empty() ? start_normal(options.seed) : start_at(activations(model, ids, options));
  }

  void prepare(Forward& pass, VirtualParts& parts) override {
    const Var all = rows(pass);
    parts.prefix.rows = fields_.rows;
    parts.prefix.kv.resize(static_cast<size_t>(facts_.layers));
    for (size_t i = 0; i < layers_.size(); ++i) {
      const int64_t column = static_cast<int64_t>(i) * 2 * kv();
      parts.prefix.kv[static_cast<size_t>(layers_[i])] = {{all, column}, {all, column + kv()}};
    }
  }

  std::vector<std::string> notes() const override {
    if (!subset()) return {};
    return {
        "PREFIX_TUNING: layers_to_transform: PEFT knows no layer without a prefix, so only ftengine loads "
        "this "
        "adapter"};
  }

  nlohmann::ordered_json config_json(const std::string& base) const override {
    nlohmann::ordered_json j = prompt_json(peft_type(), base, fields_, facts_, true);
    j["prefix_projection"] = config_.projection;
    j["encoder_hidden_size"] = hidden();
    j["init_weights"] = config_.zero ? nlohmann::ordered_json("zero") : nlohmann::ordered_json();
    return j;
  }

  nlohmann::ordered_json extra_json() const override {
    nlohmann::ordered_json j;
    if (subset()) j["layers_to_transform"] = layers_;
    if (lstm()) {
      j["encoder_reparameterization_type"] = name_of(config_.encoder);
      j["encoder_num_layers"] = config_.encoder_layers;
      j["encoder_dropout"] = config_.dropout;
    }
    if (!config_.projection && !config_.zero) {
      j["prefix_tuning_init"] = name_of(config_.start);
      if (config_.start == PromptStart::text) j["prefix_tuning_init_text"] = config_.text;
    }
    return j;
  }

 private:
  bool lstm() const { return config_.projection && config_.encoder == Reparameterization::lstm; }
  bool subset() const { return static_cast<int64_t>(layers_.size()) < facts_.layers; }
  int64_t kv() const { return facts_.kv_heads * facts_.head_dim; }
  int64_t width() const { return static_cast<int64_t>(layers_.size()) * 2 * kv(); }
  int64_t hidden() const { return config_.hidden.value_or(kv()); }

  void settle_layers(const std::string& where) {
    layers_ = config_.layers;
    std::sort(layers_.begin(), layers_.end());
    layers_.erase(std::unique(layers_.begin(), layers_.end()), layers_.end());
    for (const int64_t layer : layers_)
      if (layer < 0 || layer >= facts_.layers)
        bad_input("{}: layers_to_transform: there is no layer {}; the model has layers 0 to {}", where, layer,
                  facts_.layers - 1);
    if (!layers_.empty()) return;
    for (int64_t i = 0; i < facts_.layers; ++i) layers_.push_back(i);
  }

  /// The keys and values that the model makes of the ids, in the order of the table.
  std::vector<float> activations(Model& model, const std::vector<int32_t>& ids,
                                 const AttachOptions& options) {
    auto layout = std::make_shared<Layout>();
    layout->add_sample(fields_.rows, 0);
    Tape tape(stream_of(options), DType::f32, layout, false);
    std::vector<KvRows> found;
    Forward f{.tape = tape, .collect = &found};
    model.hidden(f, std::make_shared<const std::vector<int32_t>>(ids));
    std::vector<float> values(static_cast<size_t>(fields_.rows * width()));
    for (size_t i = 0; i < 2 * layers_.size(); ++i) {
      const KvRows& of_layer = found[static_cast<size_t>(layers_[i / 2])];
      const HeadColumns& from = i % 2 == 0 ? of_layer.k : of_layer.v;
      const std::vector<float> all = from.var.value().to_vector<float>();
      for (int64_t r = 0; r < fields_.rows; ++r)
        std::copy_n(all.begin() + r * from.var.value().dim(1) + from.column, kv(),
                    values.begin() + r * width() + static_cast<int64_t>(i) * kv());
    }
    return values;
  }

  PrefixConfig config_;
  std::vector<int64_t> layers_;  // ascending
};

}  // namespace

std::unique_ptr<Adapter> make_prefix_tuning(const ConfigNode& config, const std::string& section,
                                            bool saved) {
  return std::make_unique<PrefixTuning>(read_config(config, section, saved));
}

}  // namespace ft
