// The registry of model families: one file a family, one line each in family.cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/io/gguf.h"
#include "models/decoder_config.h"

namespace ft {

/// Typed reading of config.json with errors that name file and key.
class JsonConfig {
 public:
  JsonConfig(const nlohmann::ordered_json& json, std::string file) : json_(json), file_(std::move(file)) {}

  bool has(std::string_view key) const;
  int64_t integer(std::string_view key) const;  // in [1, 2^31)
  int64_t integer(std::string_view key, int64_t missing) const;
  double number(std::string_view key) const;
  double number(std::string_view key, double missing) const;
  bool flag(std::string_view key, bool missing) const;
  std::string text(std::string_view key, std::string_view missing) const;
  JsonConfig section(std::string_view key) const;
  const nlohmann::ordered_json& json() const { return json_; }
  [[noreturn]] void fail(std::string_view key, std::string_view message) const;

 private:
  const nlohmann::ordered_json* find(std::string_view key) const;
  const nlohmann::ordered_json& json_;
  std::string file_;
};

struct Family {
  std::string_view model_type;    // config.json's
  std::string_view architecture;  // "LlamaForCausalLM"
  std::string_view description;
  DecoderConfig (*from_json)(const JsonConfig&);
  std::string_view gguf_architecture;           // general.architecture, or empty
  DecoderConfig (*from_gguf)(const GgufFile&);  // null where there is no GGUF support
  bool gguf_permutes_qk;                        // rows of q and k are stored for interleaved RoPE
};

const std::vector<Family>& families();
/// Throws ft::InputError that lists the known ones. `where` names the file.
const Family& find_family(std::string_view model_type, std::string_view where);
const Family& find_gguf_family(std::string_view architecture, std::string_view where);

// Shared by the rotary families.
RopeConfig rope_from_json(const JsonConfig&, int64_t max_positions, double default_theta);
DecoderNames llama_names();
/// Sizes, RoPE and ties of the llama-like families from "ARCH.…" metadata; names and flags are the caller's.
DecoderConfig rotary_from_gguf(const GgufFile&, std::string_view arch);
/// Vocabulary and tie, which metadata does not tell, from the tensors.
void vocabulary_from_gguf(const GgufFile&, DecoderConfig&);
void check_decoder(const DecoderConfig&, std::string_view where);

DecoderConfig gpt2_from_json(const JsonConfig&);
DecoderConfig gpt2_from_gguf(const GgufFile&);
DecoderConfig llama_from_json(const JsonConfig&);
DecoderConfig llama_from_gguf(const GgufFile&);
DecoderConfig qwen2_from_json(const JsonConfig&);
DecoderConfig qwen2_from_gguf(const GgufFile&);
DecoderConfig qwen3_from_json(const JsonConfig&);
DecoderConfig qwen3_from_gguf(const GgufFile&);
DecoderConfig bloom_from_json(const JsonConfig&);
DecoderConfig bloom_from_gguf(const GgufFile&);

}  // namespace ft
