// P-tuning (Liu et al. 2021, "GPT Understands, Too"): a prompt as in prompt tuning, made by a small network
// that is trained in its place. Field names, modules and files are PEFT's (0.21). What is stored for use is
// the prompt that the network makes; the network stands beside it and is needed to go on training.
#include "adapters/peft_fields.h"
#include "adapters/prompt_learning.h"
#include "adapters/registry.h"

namespace ft {
namespace {

constexpr int64_t kMaxWidth = 1 << 16, kMaxLayers = 64;

struct PTuningConfig {
  PromptFields prompt;
  Reparameterization encoder = Reparameterization::mlp;
  std::optional<int64_t> hidden;  // default: the model's
  int64_t layers = 2;             // of the LSTM
  double dropout = 0;             // between them
};

PTuningConfig read_config(const ConfigNode& node, const std::string& section, bool saved) {
  PTuningConfig c;
  Fields f(node, section);
  c.prompt = read_prompt_fields(f, saved);
  f.get("encoder_reparameterization_type", c.encoder);
  f.get("encoder_hidden_size", c.hidden, between(1, kMaxWidth));
  f.get("encoder_num_layers", c.layers, between(1, kMaxLayers));
  f.get("encoder_dropout", c.dropout, probability());
  finish_fields(f, saved);
  if (c.prompt.automatic)
    f.fail("num_virtual_tokens", "auto is for prompts that start from a text; give a number");
  return c;
}

class PTuning : public PromptLearning {
 public:
  explicit PTuning(PTuningConfig config) : PromptLearning(config.prompt), config_(std::move(config)) {}

  std::string_view peft_type() const override { return "P_TUNING"; }
  int64_t prompt_rows() const override { return fields_.rows; }

  void attach(Model& model, const AttachOptions& options) override {
    facts_ = model.facts();
    make_table(facts_.hidden, options);
    if (!options.training) return;
    make_encoder(lstm() ? PromptEncoder::Kind::lstm : PromptEncoder::Kind::mlp,
                 {.rows = fields_.rows,
                  .in = facts_.hidden,
                  .hidden = hidden(),
                  .out = facts_.hidden,
                  .layers = config_.layers,
                  .dropout = config_.dropout},
                 options);
  }

  void prepare(Forward& pass, VirtualParts& parts) override { parts.prompt = rows(pass); }

  std::vector<std::string> notes() const override {
    if (!lstm() && (config_.layers != 2 || config_.dropout > 0))
      return {
          "P_TUNING: encoder_num_layers and encoder_dropout have no effect on an MLP encoder, as in PEFT: it "
          "has "
          "two hidden layers and drops nothing; LSTM takes both"};
    if (lstm() && config_.layers == 1 && config_.dropout > 0)
      return {
          "P_TUNING: encoder_dropout acts between LSTM layers, and encoder_num_layers is 1: nothing is "
          "dropped"};
    return {};
  }

  nlohmann::ordered_json config_json(const std::string& base) const override {
    nlohmann::ordered_json j = prompt_json(peft_type(), base, fields_, facts_, false);
    j["encoder_reparameterization_type"] = name_of(config_.encoder);
    j["encoder_hidden_size"] = hidden();
    j["encoder_num_layers"] = config_.layers;
    j["encoder_dropout"] = config_.dropout;
    return j;
  }

 private:
  bool lstm() const { return config_.encoder == Reparameterization::lstm; }
  int64_t hidden() const { return config_.hidden.value_or(facts_.hidden); }

  PTuningConfig config_;
};

}  // namespace

std::unique_ptr<Adapter> make_p_tuning(const ConfigNode& config, const std::string& section, bool saved) {
  return std::make_unique<PTuning>(read_config(config, section, saved));
}

}  // namespace ft
