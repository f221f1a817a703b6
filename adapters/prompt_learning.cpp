#include "adapters/prompt_learning.h"

#include <cctype>
#include <numeric>

#include "engine/core/rng.h"
#include "engine/ops/embedding.h"

namespace ft {
namespace {

constexpr int64_t kMaxRows = 4096;

std::string lower(std::string_view name) {
  std::string text;
  for (const char c : name) text += static_cast<char>(std::tolower(c));
  return text;
}

}  // namespace

PromptFields read_prompt_fields(Fields& f, bool saved) {
  PromptFields p;
  p.saved = saved;
  ignore_file_fields(f);
  const ConfigNode* rows = f.node("num_virtual_tokens");
  p.automatic = rows && rows->is_string() && rows->string() == "auto";
  if (!p.automatic) f.get("num_virtual_tokens", p.rows, between(1, kMaxRows));
  for (const char* key : {"token_dim", "num_transformer_submodules", "num_attention_heads", "num_layers"})
    f.ignore(key);
  f.accept_null_or_default("modules_to_save");
  f.renamed("num_tokens", "num_virtual_tokens");
  f.renamed("prompt_length", "num_virtual_tokens");
  f.renamed("pre_seq_len", "num_virtual_tokens");
  f.renamed("encoder_type", "encoder_reparameterization_type");
  return p;
}

nlohmann::ordered_json prompt_json(std::string_view peft_type, const std::string& base, const PromptFields& p,
                                   const ModelFacts& facts, bool kv) {
  nlohmann::ordered_json j = file_fields(peft_type, base);
  j["num_virtual_tokens"] = p.rows;
  j["token_dim"] = kv ? facts.kv_heads * facts.head_dim : facts.hidden;
  j["num_transformer_submodules"] = 1;
  j["num_attention_heads"] = kv ? facts.kv_heads : facts.heads;
  j["num_layers"] = facts.layers;
  j["modules_to_save"] = nullptr;
  return j;
}

Stream& stream_of(const AttachOptions& options) {
  FT_CHECK(options.stream, "[adapter] {}: a start from words needs a stream", options.where);
  return *options.stream;
}

void PromptLearning::make_table(int64_t width, const AttachOptions& options) {
  if (facts_.position_limit > 0 && fields_.rows >= facts_.position_limit)
    bad_input("{}: {} virtual tokens leave no position of the model's {}; lower num_virtual_tokens",
              options.where, fields_.rows, facts_.position_limit);
  table_ = std::make_unique<Parameter>(
      Parameter::make(lower(peft_type()) + ".prompt_embeddings", {fields_.rows, width},
                      Parameter::Layout::packed, options.compute, MemoryClass::trainable, options.device));
  table_->value.zero();
  if (options.training) table_->train(options.compute);
}

void PromptLearning::make_encoder(PromptEncoder::Kind kind, const PromptEncoder::Sizes& sizes,
                                  const AttachOptions& options) {
  table_->freeze();
  encoder_ = std::make_unique<PromptEncoder>(kind, sizes, lower(peft_type()), options);
}

void PromptLearning::start_normal(uint64_t seed) {
  Rng rng(seed, table_->name);
  std::vector<float> values(static_cast<size_t>(table_->numel()));
  for (float& v : values) v = rng.normal();
  start_at(values);
}

std::vector<int32_t> PromptLearning::start_ids(PromptStart start, const std::string& text,
                                               const ModelFacts& facts, const AttachOptions& options) {
  std::vector<int32_t> ids;
  if (start == PromptStart::text) {
    if (!options.tokenize) bad_input("{}: a start from a text needs the model's tokenizer", options.where);
    ids = options.tokenize(text);
    if (ids.empty()) bad_input("{}: the text to start from has no tokens", options.where);
    for (const int32_t id : ids)
      if (id >= facts.vocab)
        bad_input("{}: the text to start from has the token {}, beyond the model's vocabulary of {}",
                  options.where, id, facts.vocab);
    if (fields_.automatic) fields_.rows = std::min(kMaxRows, static_cast<int64_t>(ids.size()));
    fields_.automatic = false;
    const size_t own = ids.size();
    ids.resize(static_cast<size_t>(fields_.rows));
    for (size_t i = own; i < ids.size(); ++i) ids[i] = ids[i - own];
    return ids;
  }
  if (start == PromptStart::random) return ids;
  Rng rng(options.seed, lower(peft_type()) + ".words");
  for (int64_t i = 0; i < fields_.rows; ++i)
    ids.push_back(static_cast<int32_t>(rng.below(static_cast<uint32_t>(facts.vocab))));
  return ids;
}

std::vector<AdapterTensor> PromptLearning::tensors() const {
  return {{"prompt_embeddings", table_.get(), false, encoder_ != nullptr}};
}

std::vector<Parameter*> PromptLearning::trainables() const {
  if (!encoder_) return {table_.get()};
  std::vector<Parameter*> all;
  for (const AdapterTensor& t : encoder_->tensors()) all.push_back(t.parameter);
  return all;
}

std::vector<AdapterTensor> PromptLearning::encoder_tensors() const {
  return encoder_ ? encoder_->tensors() : std::vector<AdapterTensor>();
}

Var PromptLearning::rows(Forward& f) {
  if (encoder_) return (*encoder_)(f);
  auto numbers = std::make_shared<std::vector<int32_t>>(static_cast<size_t>(fields_.rows));
  std::iota(numbers->begin(), numbers->end(), 0);
  return embedding(f.tape, *table_, numbers);
}

void PromptLearning::settle(Stream& stream) {
  if (!encoder_) return;
  auto layout = std::make_shared<Layout>();
  layout->add_sample(fields_.rows, 0);
  Tape tape(stream, table_->value.dtype(), layout, false);
  Forward f{.tape = tape};
  const Tensor made = rows(f).value();
  dispatch_compute(ComputeTypes<float, double>(), made.dtype(), [&]<class T>() {
    const std::vector<T> values = made.to_vector<T>();
    start_at(std::vector<float>(values.begin(), values.end()));
  });
}

}  // namespace ft
