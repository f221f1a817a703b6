// LLaMA 1-3 and what is built like it (SmolLM2, TinyLlama): RMSNorm, RoPE, SwiGLU, grouped queries.
#include "models/family.h"

namespace ft {

DecoderConfig llama_from_json(const JsonConfig& j) {
  DecoderConfig c;
  c.model_type = "llama";
  c.names = llama_names();
  c.vocab = j.integer("vocab_size");
  c.hidden = j.integer("hidden_size");
  c.layers = j.integer("num_hidden_layers");
  c.heads = j.integer("num_attention_heads");
  c.kv_heads = j.integer("num_key_value_heads", c.heads);
  c.head_dim = j.integer("head_dim", c.hidden / c.heads);
  c.ffn = j.integer("intermediate_size");
  c.max_positions = j.integer("max_position_embeddings", 2048);
  c.norm_eps = j.number("rms_norm_eps", 1e-6);
  c.activation = activation_from_name(j.text("hidden_act", "silu"));
  c.qkv_bias = c.o_bias = j.flag("attention_bias", false);
  c.mlp_bias = j.flag("mlp_bias", false);
  c.tied = j.flag("tie_word_embeddings", false);
  c.attention_dropout = j.number("attention_dropout", 0);
  c.rope = rope_from_json(j, c.max_positions, 10000);
  c.ignored = {R"(.*\.rotary_emb\.inv_freq)"};
  c.lora_targets = {"q_proj", "v_proj"};
  c.json = j.json();
  return c;
}

DecoderConfig llama_from_gguf(const GgufFile& file) {
  DecoderConfig c = rotary_from_gguf(file, "llama");
  c.model_type = "llama";
  c.lora_targets = {"q_proj", "v_proj"};
  c.qkv_bias = file.find("blk.0.attn_q.bias") != nullptr;
  c.o_bias = file.find("blk.0.attn_output.bias") != nullptr;
  c.mlp_bias = file.find("blk.0.ffn_up.bias") != nullptr;
  c.json["attention_bias"] = c.qkv_bias;
  c.json["mlp_bias"] = c.mlp_bias;
  return c;
}

}  // namespace ft
