// What the rotary families (LLaMA, Qwen2, Qwen3) share: names, RoPE's parameters, GGUF's metadata.
#include "models/family.h"

namespace ft {

DecoderNames llama_names() {
  DecoderNames n;
  n.embed = "model.embed_tokens";
  n.layers = "model.layers";
  n.final_norm = "model.norm";
  n.head = "lm_head";
  n.attn_norm = "input_layernorm";
  n.q = "self_attn.q_proj";
  n.k = "self_attn.k_proj";
  n.v = "self_attn.v_proj";
  n.o = "self_attn.o_proj";
  n.q_norm = "self_attn.q_norm";
  n.k_norm = "self_attn.k_norm";
  n.mlp_norm = "post_attention_layernorm";
  n.gate = "mlp.gate_proj";
  n.up = "mlp.up_proj";
  n.down = "mlp.down_proj";
  return n;
}

// transformers 5 writes rope_parameters {rope_theta, rope_type, …}; older files have rope_theta at the top
// and rope_scaling {type or rope_type, factor, …} beside it. Both may be present when they agree on nothing
// new.
RopeConfig rope_from_json(const JsonConfig& c, int64_t max_positions, double default_theta) {
  RopeConfig r;
  r.theta = c.number("rope_theta", default_theta);
  r.original_max_positions = max_positions;
  const std::string_view key = c.has("rope_parameters") ? "rope_parameters"
                               : c.has("rope_scaling")  ? "rope_scaling"
                                                        : "";
  if (key.empty()) return r;
  const JsonConfig s = c.section(key);
  r.theta = s.number("rope_theta", r.theta);
  if (s.number("partial_rotary_factor", 1) != 1 || c.number("partial_rotary_factor", 1) != 1)
    c.fail("partial_rotary_factor", "rotating a part of each head is not supported in this family");
  const std::string type = s.text("rope_type", s.text("type", "default"));
  if (type == "default") return r;
  r.factor = s.number("factor");
  if (r.factor < 1) c.fail(key, fmt::format("factor is {}; expected at least 1", r.factor));
  if (type == "linear") {
    r.type = RopeConfig::Type::linear;
  } else if (type == "dynamic") {
    r.type = RopeConfig::Type::dynamic;
    r.original_max_positions = s.integer("original_max_position_embeddings", max_positions);
  } else if (type == "llama3") {
    r.type = RopeConfig::Type::llama3;
    r.low_freq_factor = s.number("low_freq_factor");
    r.high_freq_factor = s.number("high_freq_factor");
    r.original_max_positions = s.integer("original_max_position_embeddings",
                                         c.integer("original_max_position_embeddings", max_positions));
    if (r.high_freq_factor <= r.low_freq_factor)
      c.fail(key, "high_freq_factor must be above low_freq_factor");
  } else {
    c.fail(key,
           fmt::format("rope_type '{}' is not supported; known: default, linear, dynamic, llama3", type));
  }
  return r;
}

DecoderConfig rotary_from_gguf(const GgufFile& file, std::string_view arch) {
  const GgufMetadata& m = file.metadata();
  const auto key = [&](std::string_view name) { return fmt::format("{}.{}", arch, name); };
  DecoderConfig c;
  c.names = llama_names();
  c.layers = m.get_u32(key("block_count"));
  c.hidden = m.get_u32(key("embedding_length"));
  c.ffn = m.get_u32(key("feed_forward_length"));
  c.heads = m.get_u32(key("attention.head_count"));
  c.kv_heads = m.get_u32(key("attention.head_count_kv"), static_cast<uint32_t>(c.heads));
  if (c.heads == 0) bad_input("{}: {} is 0", file.path(), key("attention.head_count"));
  c.head_dim = m.get_u32(key("attention.key_length"), static_cast<uint32_t>(c.hidden / c.heads));
  c.max_positions = m.get_u32(key("context_length"));
  c.norm_eps = m.get_f32(key("attention.layer_norm_rms_epsilon"));
  c.rope.theta = m.get_f32(key("rope.freq_base"), 10000.f);
  c.rope.original_max_positions = c.max_positions;
  const std::string scaling = m.get_string(key("rope.scaling.type"), "none");
  if (scaling == "linear") {
    c.rope.type = RopeConfig::Type::linear;
    c.rope.factor = m.get_f32(key("rope.scaling.factor"));
  } else if (scaling != "none") {
    bad_input("{}: {} '{}' is not supported; known: none, linear", file.path(), key("rope.scaling.type"),
              scaling);
  }
  if (const TensorInfo* freqs = file.find("rope_freqs.weight")) {
    if (element_count(*freqs) != c.head_dim / 2)
      bad_input("{}: rope_freqs.weight has {} numbers; expected {}", file.path(), element_count(*freqs),
                c.head_dim / 2);
    c.rope.frequency_divisors.resize(static_cast<size_t>(c.head_dim / 2));
    file.read_all(*freqs, c.rope.frequency_divisors.data());
    c.ignored.push_back("rope_freqs\\.weight");
  }
  vocabulary_from_gguf(file, c);
  c.json = {{"hidden_size", c.hidden},
            {"intermediate_size", c.ffn},
            {"num_hidden_layers", c.layers},
            {"num_attention_heads", c.heads},
            {"num_key_value_heads", c.kv_heads},
            {"head_dim", c.head_dim},
            {"vocab_size", c.vocab},
            {"max_position_embeddings", c.max_positions},
            {"rms_norm_eps", c.norm_eps},
            {"hidden_act", "silu"},
            {"rope_theta", c.rope.theta},
            {"tie_word_embeddings", c.tied}};
  if (c.rope.type == RopeConfig::Type::linear)
    c.json["rope_scaling"] = {{"rope_type", "linear"}, {"factor", c.rope.factor}};
  return c;
}

}  // namespace ft
