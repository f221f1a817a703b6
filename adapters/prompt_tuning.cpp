// Prompt tuning (Lester et al. 2021, "The Power of Scale for Parameter-Efficient Prompt Tuning"): rows that
// the model reads as if they were embeddings of tokens before each sample. Field names, start and files are
// PEFT's (0.21); left out, the start is SAMPLE_VOCAB where PEFT's is RANDOM, normal numbers some thirty times
// as large as embeddings, from which little is learned.
#include "adapters/peft_fields.h"
#include "adapters/prompt_learning.h"
#include "adapters/registry.h"
#include "engine/ops/embedding.h"

namespace ft {
namespace {

struct PromptTuningConfig {
  PromptFields prompt;
  PromptStart start = PromptStart::sample_vocab;
  std::string text;
};

PromptTuningConfig read_config(const ConfigNode& node, const std::string& section, bool saved) {
  PromptTuningConfig c;
  Fields f(node, section);
  c.prompt = read_prompt_fields(f, saved);
  const bool said = f.get("prompt_tuning_init", c.start);
  if (f.has("prompt_tuning_init_text")) {
    f.get("prompt_tuning_init_text", c.text);
    if (!said) c.start = PromptStart::text;
    if (c.start != PromptStart::text)
      f.fail("prompt_tuning_init_text", "has a meaning with prompt_tuning_init: TEXT only");
  }
  f.ignore("tokenizer_name_or_path");  // the model's own is used
  f.accept_null_or_default("tokenizer_kwargs");
  finish_fields(f, saved);
  if (c.start == PromptStart::text && c.text.empty() && !saved)
    f.fail("prompt_tuning_init", "TEXT needs prompt_tuning_init_text: the words to start from");
  if (c.prompt.automatic && c.start != PromptStart::text)
    f.fail("num_virtual_tokens",
           "auto is the length of the text to start from; give prompt_tuning_init: TEXT, or a number");
  return c;
}

class PromptTuning : public PromptLearning {
 public:
  explicit PromptTuning(PromptTuningConfig config)
      : PromptLearning(config.prompt), config_(std::move(config)) {}

  std::string_view peft_type() const override { return "PROMPT_TUNING"; }
  int64_t prompt_rows() const override { return fields_.rows; }

  void attach(Model& model, const AttachOptions& options) override {
    facts_ = model.facts();
    std::vector<int32_t> ids;
    if (!fields_.saved) ids = start_ids(config_.start, config_.text, facts_, options);
    make_table(facts_.hidden, options);
    if (fields_.saved) return;
    if (ids.empty()) return start_normal(options.seed);
    Tape tape(stream_of(options), DType::f32, std::make_shared<Layout>(), false);
    const Tensor words =
        Tensor::empty({fields_.rows, facts_.hidden}, DType::f32, MemoryClass::workspace, options.device);
    const IndexView index = tape.upload(ids);
    launch(tape.stream(), DType::f32, [&]<class T>(auto& s) {
      embedding(s, EmbeddingArgs<T>{.tokens = fields_.rows,
                                    .table = model.embeddings().packed(),
                                    .ids = index,
                                    .y = words.data<T>()});
    });
    start_at(words.to_vector<float>());
  }

  void prepare(Forward& pass, VirtualParts& parts) override { parts.prompt = rows(pass); }

  nlohmann::ordered_json config_json(const std::string& base) const override {
    nlohmann::ordered_json j = prompt_json(peft_type(), base, fields_, facts_, false);
    const bool text = config_.start == PromptStart::text;
    j["prompt_tuning_init"] = name_of(config_.start);
    j["prompt_tuning_init_text"] = text ? nlohmann::ordered_json(config_.text) : nlohmann::ordered_json();
    // PEFT wants one with TEXT, though it reads none for a trained prompt.
    j["tokenizer_name_or_path"] = text ? nlohmann::ordered_json(base) : nlohmann::ordered_json();
    j["tokenizer_kwargs"] = nullptr;
    return j;
  }

 private:
  PromptTuningConfig config_;
};

}  // namespace

std::unique_ptr<Adapter> make_prompt_tuning(const ConfigNode& config, const std::string& section,
                                            bool saved) {
  return std::make_unique<PromptTuning>(read_config(config, section, saved));
}

}  // namespace ft
