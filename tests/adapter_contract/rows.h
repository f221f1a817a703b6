// The methods, one row each: a new method adds a row and inherits every check of contract_test.cpp.
#pragma once

#include <string>
#include <vector>

namespace ft::contract {

enum class Start {
  base,  // the same function, to the bit
  near,  // small changes
  off,   // somewhere else
};

struct Row {
  std::string name, fixture, adapter;  // adapter: a YAML mapping
  Start start = Start::base;
  bool merges = true;
  bool stacks = true;  // with a LoRA above it
};

/// PiSSA and OLoRA are not here: they are stored as another LoRA, of twice the rank, which is the same to
/// rounding.
inline const std::vector<Row>& rows() {
  static const std::vector<Row> all = {
      {"lora", "llama_gqa_rslora", "{peft_type: LORA, r: 3, lora_dropout: 0.1, target_modules: all-linear}"},
      {"lora_bloom_biases", "bloom_lora", "{peft_type: LORA, r: 2, bias: all, modules_to_save: [ln_f]}"},
      {"dora", "qwen3_lora", "{peft_type: LORA, r: 3, use_dora: true, target_modules: all-linear}",
       Start::near, true, false},
      {"lora_parts", "bloom_lora",
       "{peft_type: LORA, r: 2, target_modules: [query_key_value.q, query_key_value.v]}"},
      {"adalora", "llama_gqa_rslora",
       "{peft_type: ADALORA, init_r: 3, target_r: 2, tinit: 0, tfinal: 0, deltaT: 1, modules_to_save: "
       "[norm]}"},
      {"vera", "gpt2_c_attn", "{peft_type: VERA, r: 8, modules_to_save: [ln_f]}"},
      {"loha", "llama_gqa_rslora", "{peft_type: LOHA, r: 3, alpha: 6, target_modules: all-linear}"},
      {"loha_conv1d", "gpt2_c_attn", "{peft_type: LOHA, r: 2, modules_to_save: [ln_f]}"},
      {"lokr", "llama_gqa_rslora", "{peft_type: LOKR, r: 2, target_modules: all-linear}"},
      {"lokr_both", "gpt2_c_attn",
       "{peft_type: LOKR, r: 1, decompose_both: true, decompose_factor: 3, init_weights: lycoris, "
       "modules_to_save: [ln_f]}"},
      {"ia3", "qwen3_lora", "{peft_type: IA3}"},
      {"ia3_bloom", "bloom_lora", "{peft_type: IA3}"},
      {"bitfit", "gpt2_c_attn", "{peft_type: BITFIT}"},
      {"bitfit_bloom", "bloom_full", "{peft_type: BITFIT}"},
      {"ln_tuning", "llama_gqa_rslora", "{peft_type: LN_TUNING}"},
      {"bottleneck_houlsby", "qwen3_lora", "{peft_type: BOTTLENECK, architecture: houlsby}", Start::near,
       false},
      {"bottleneck_pfeiffer", "bloom_lora",
       "{peft_type: BOTTLENECK, architecture: pfeiffer, bottleneck_size: 5, layers_to_transform: [1]}",
       Start::near, false},
      {"prompt_tuning", "llama_gqa_rslora", "{peft_type: PROMPT_TUNING, num_virtual_tokens: 4}", Start::off,
       false},
      {"p_tuning_mlp", "gpt2_c_attn", "{peft_type: P_TUNING, num_virtual_tokens: 3, encoder_hidden_size: 8}",
       Start::off, false},
      {"p_tuning_lstm", "bloom_lora",
       "{peft_type: P_TUNING, num_virtual_tokens: 3, encoder_reparameterization_type: LSTM, "
       "encoder_hidden_size: 5}",
       Start::off, false},
      {"prefix_tuning", "llama_gqa_rslora", "{peft_type: PREFIX_TUNING, num_virtual_tokens: 4}", Start::off,
       false},
      {"prefix_tuning_projection", "bloom_full",
       "{peft_type: PREFIX_TUNING, num_virtual_tokens: 3, prefix_projection: true, encoder_hidden_size: 7}",
       Start::off, false},
      {"trainable", "gpt2_c_attn",
       "{peft_type: TRAINABLE, trainable: ['mlp\\.c_fc\\.weight', 'wte.weight']}"},
      {"none", "bloom_full", "{peft_type: NONE}", Start::base, true, false},
  };
  return all;
}

}  // namespace ft::contract
