#include "models/family.h"

#include <cmath>

namespace ft {

const std::vector<Family>& families() {
  static const std::vector<Family> all = {
      {"gpt2", "GPT2LMHeadModel", "GPT-2 (Conv1D, learned positions)", gpt2_from_json, "gpt2", gpt2_from_gguf,
       false},
      {"llama", "LlamaForCausalLM", "LLaMA 1-3, SmolLM2 (RoPE, grouped queries)", llama_from_json, "llama",
       llama_from_gguf, true},
      {"qwen2", "Qwen2ForCausalLM", "Qwen2, Qwen2.5 (biases on q, k, v)", qwen2_from_json, "qwen2",
       qwen2_from_gguf, false},
      {"qwen3", "Qwen3ForCausalLM", "Qwen3 (norms on q and k)", qwen3_from_json, "qwen3", qwen3_from_gguf,
       false},
      {"bloom", "BloomForCausalLM", "BLOOM, BLOOMZ (ALiBi, LayerNorm of the embeddings)", bloom_from_json,
       "bloom", bloom_from_gguf, false},
  };
  return all;
}

namespace {

template <class Key>
const Family& find(std::string_view wanted, std::string_view where, std::string_view what, Key key) {
  std::string known;
  for (const Family& f : families()) {
    if (key(f) == wanted) return f;
    known += (known.empty() ? "" : ", ") + std::string(key(f));
  }
  bad_input("{}: {} '{}' is not supported; known: {}", where, what, wanted, known);
}

}  // namespace

const Family& find_family(std::string_view model_type, std::string_view where) {
  return find(model_type, where, "model_type", [](const Family& f) { return f.model_type; });
}
const Family& find_gguf_family(std::string_view architecture, std::string_view where) {
  return find(architecture, where, "general.architecture",
              [](const Family& f) { return f.gguf_architecture; });
}

const nlohmann::ordered_json* JsonConfig::find(std::string_view key) const {
  const auto it = json_.find(std::string(key));
  return it == json_.end() || it->is_null() ? nullptr : &*it;
}
bool JsonConfig::has(std::string_view key) const {
  return find(key) != nullptr;
}

void JsonConfig::fail(std::string_view key, std::string_view message) const {
  bad_input("{}: {}: {}", file_, key, message);
}

int64_t JsonConfig::integer(std::string_view key) const {
  const auto* v = find(key);
  if (!v) fail(key, "missing; the configuration is not one of this family");
  if (!v->is_number_integer()) fail(key, fmt::format("expected an integer, got {}", v->dump()));
  const auto n = v->get<int64_t>();
  if (n < 1 || n > INT32_MAX)
    fail(key, fmt::format("expected an integer from 1 to 2^31 - 1, got {}", v->dump()));
  return n;
}
int64_t JsonConfig::integer(std::string_view key, int64_t missing) const {
  return has(key) ? integer(key) : missing;
}

double JsonConfig::number(std::string_view key) const {
  const auto* v = find(key);
  if (!v || !v->is_number()) fail(key, v ? fmt::format("expected a number, got {}", v->dump()) : "missing");
  const auto x = v->get<double>();
  if (!std::isfinite(x)) fail(key, "expected a finite number");
  return x;
}
double JsonConfig::number(std::string_view key, double missing) const {
  return has(key) ? number(key) : missing;
}

bool JsonConfig::flag(std::string_view key, bool missing) const {
  const auto* v = find(key);
  if (!v) return missing;
  if (!v->is_boolean()) fail(key, fmt::format("expected true or false, got {}", v->dump()));
  return v->get<bool>();
}

std::string JsonConfig::text(std::string_view key, std::string_view missing) const {
  const auto* v = find(key);
  if (!v) return std::string(missing);
  if (!v->is_string()) fail(key, fmt::format("expected a text, got {}", v->dump()));
  return v->get<std::string>();
}

JsonConfig JsonConfig::section(std::string_view key) const {
  const auto* v = find(key);
  if (!v || !v->is_object()) fail(key, "expected a section");
  return {*v, file_};
}

void vocabulary_from_gguf(const GgufFile& file, DecoderConfig& c) {
  const TensorInfo* embed = file.find("token_embd.weight");
  if (!embed || embed->shape.size() != 2)
    bad_input("{}: no matrix named token_embd.weight; not a language model", file.path());
  c.vocab = embed->shape[0];
  c.tied = file.find("output.weight") == nullptr;
}

void check_decoder(const DecoderConfig& c, std::string_view where) {
  constexpr int64_t kMost = int64_t{1}
                            << 24;  // no real model comes near; products below stay far from overflow
  const auto size = [&](int64_t v, std::string_view what) {
    if (v < 1 || v > kMost) bad_input("{}: {} is {}; expected 1 to {}", where, what, v, kMost);
  };
  size(c.vocab, "the vocabulary");
  size(c.hidden, "the hidden size");
  size(c.heads, "the number of heads");
  size(c.kv_heads, "the number of key-value heads");
  size(c.head_dim, "the head size");
  size(c.ffn, "the feed-forward size");
  size(c.max_positions, "the number of positions");
  if (c.layers < 1 || c.layers > 4096)
    bad_input("{}: the number of layers is {}; expected 1 to 4096", where, c.layers);
  if (c.heads % c.kv_heads != 0)
    bad_input("{}: {} heads cannot share {} key-value heads evenly", where, c.heads, c.kv_heads);
  if (c.heads * c.head_dim > kMost)
    bad_input("{}: {} heads of size {} are too large", where, c.heads, c.head_dim);
  if (c.positions == Positions::rotary && c.head_dim % 2 != 0)
    bad_input("{}: rotary positions need an even head size, got {}", where, c.head_dim);
}

}  // namespace ft
