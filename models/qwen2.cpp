// Qwen2 and Qwen2.5: LLaMA with biases on q, k and v.
#include "models/family.h"

namespace ft {

DecoderConfig qwen2_from_json(const JsonConfig& j) {
  if (j.flag("use_sliding_window", false))
    j.fail("use_sliding_window", "sliding-window layers are not supported in this family");
  DecoderConfig c = llama_from_json(j);
  c.model_type = "qwen2";
  c.max_positions = j.integer("max_position_embeddings", 32768);
  c.qkv_bias = true;
  c.o_bias = c.mlp_bias = false;
  return c;
}

DecoderConfig qwen2_from_gguf(const GgufFile& file) {
  DecoderConfig c = rotary_from_gguf(file, "qwen2");
  c.model_type = "qwen2";
  c.lora_targets = {"q_proj", "v_proj"};
  c.qkv_bias = true;
  c.json["use_sliding_window"] = false;
  return c;
}

}  // namespace ft
