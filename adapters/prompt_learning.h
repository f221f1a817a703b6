// What prompt tuning, P-tuning and prefix tuning share: rows of numbers before the samples' own tokens,
// either parameters themselves (`prompt_embeddings` of PEFT's file) or made once a step by an encoder, and
// the fields of their configurations.
#pragma once

#include <memory>
#include <optional>

#include "adapters/peft_fields.h"
#include "adapters/prompt_encoder.h"

namespace ft {

/// Where plain rows start: normal numbers (PEFT's RANDOM), words drawn from the vocabulary, those of a text.
enum class PromptStart { random, sample_vocab, text };
constexpr std::array<EnumName<PromptStart>, 3> enum_names(PromptStart) {
  return {{{PromptStart::random, "RANDOM"},
           {PromptStart::sample_vocab, "SAMPLE_VOCAB"},
           {PromptStart::text, "TEXT"}}};
}

struct PromptFields {
  int64_t rows = 20;       // num_virtual_tokens
  bool automatic = false;  // num_virtual_tokens: auto, as many as the text has
  bool saved = false;      // the values come from a file
};

/// num_virtual_tokens and what PEFT writes of the model, which follows from it here.
PromptFields read_prompt_fields(Fields& fields, bool saved);
/// The latter in an adapter_config.json; `kv`: of a prefix, which PEFT counts in key-value heads.
nlohmann::ordered_json prompt_json(std::string_view peft_type, const std::string& base,
                                   const PromptFields& fields, const ModelFacts& facts, bool kv);

class PromptLearning : public Adapter {
 public:
  explicit PromptLearning(PromptFields fields) : fields_(std::move(fields)) {}

  std::vector<AdapterTensor> tensors() const override;
  std::vector<Parameter*> trainables() const override;
  std::vector<AdapterTensor> encoder_tensors() const override;
  int64_t step_rows() const override { return fields_.rows; }
  void settle(Stream& stream) override;

 protected:
  /// The table [fields_.rows, width] of zeros; trained unless an encoder comes. After facts_ is set.
  void make_table(int64_t width, const AttachOptions& options);
  void make_encoder(PromptEncoder::Kind kind, const PromptEncoder::Sizes& sizes,
                    const AttachOptions& options);
  void start_at(std::span<const float> values) { from_plain(*table_, values); }
  void start_normal(uint64_t seed);
  /// The ids that a start begins with, fields_.rows of them: a text's, repeated or cut as PEFT does, or drawn
  /// ones. Settles `num_virtual_tokens: auto`.
  std::vector<int32_t> start_ids(PromptStart start, const std::string& text, const ModelFacts& facts,
                                 const AttachOptions& options);

  /// What stands before the samples, [rows, width].
  Var rows(Forward& f);

  PromptFields fields_;
  ModelFacts facts_;  // of the model that it is attached to

 private:
  std::unique_ptr<Parameter> table_;  // packed
  std::unique_ptr<PromptEncoder> encoder_;
};

/// The stream that a start from words needs.
Stream& stream_of(const AttachOptions& options);

}  // namespace ft
