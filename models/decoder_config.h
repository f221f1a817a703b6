// What a family tells the shared decoder: sizes, choices, and what each tensor is called. A family file makes
// one from a Hugging Face config.json or from GGUF metadata and does nothing else.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/ops/activation.h"

namespace ft {

/// Rotary embedding and its scaling rule, in the terms of Hugging Face's `rope_parameters`.
struct RopeConfig {
  enum class Type { standard, linear, dynamic, llama3 };
  Type type = Type::standard;
  double theta = 10000;
  double factor = 1;
  double low_freq_factor = 1, high_freq_factor = 4;  // llama3
  int64_t original_max_positions = 0;                // llama3, dynamic
  std::vector<float> frequency_divisors;             // GGUF's rope_freqs: one for each pair, or empty
};

/// How a token's place enters.
enum class Positions { rotary, learned, alibi };

/// The decoder's parameters by role; the strings are module names inside a layer or inside the model.
struct DecoderNames {
  std::string embed, positions, layers, final_norm, head;  // "model.embed_tokens", "", "model.layers", …
  std::string embed_norm;                                  // of the embeddings; empty: none
  std::string attn_norm, q, k, v, qkv, o, q_norm, k_norm;  // within a layer: "self_attn.q_proj", …
  std::string mlp_norm, gate, up, down;
};

struct DecoderConfig {
  std::string model_type;
  int64_t vocab = 0, hidden = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0, ffn = 0,
          max_positions = 0;
  Positions positions = Positions::rotary;
  RopeConfig rope;
  bool layer_norm = false;  // else RMSNorm
  double norm_eps = 1e-6;
  Activation activation = Activation::silu;
  bool gated = true;
  bool fused_qkv = false, conv1d = false;
  bool qkv_by_head = false;          // fused as q|k|v of each head (BLOOM); else all q, all k, all v
  bool residual_after_norm = false;  // the residual stream goes on from the norms' outputs
  bool qkv_bias = false, o_bias = false, mlp_bias = false;
  bool qk_norm = false;
  bool tied = false;
  double embed_dropout = 0, residual_dropout = 0,
         attention_dropout = 0;  // the base model's own, off unless asked for

  DecoderNames names;
  std::vector<std::string> ignored;  // regular expressions of tensors that files may carry and nobody needs
  std::vector<std::string> lora_targets;  // PEFT's default for the family
  nlohmann::ordered_json json;            // config.json, as read or as made from GGUF metadata
};

}  // namespace ft
