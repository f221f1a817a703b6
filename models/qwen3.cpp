// Qwen3: LLaMA with an RMSNorm on each head of q and k before RoPE, and a head size of its own.
#include "models/family.h"

namespace ft {

DecoderConfig qwen3_from_json(const JsonConfig& j) {
  if (j.flag("use_sliding_window", false))
    j.fail("use_sliding_window", "sliding-window layers are not supported in this family");
  DecoderConfig c = llama_from_json(j);
  c.model_type = "qwen3";
  c.max_positions = j.integer("max_position_embeddings", 32768);
  c.head_dim = j.integer("head_dim", 128);
  c.mlp_bias = false;
  c.qk_norm = true;
  return c;
}

DecoderConfig qwen3_from_gguf(const GgufFile& file) {
  DecoderConfig c = rotary_from_gguf(file, "qwen3");
  c.model_type = "qwen3";
  c.lora_targets = {"q_proj", "v_proj"};
  c.qk_norm = true;
  c.json["attention_bias"] = false;
  c.json["use_sliding_window"] = false;
  return c;
}

}  // namespace ft
