// BLOOM and BLOOMZ: LayerNorm, on the embeddings too, ALiBi, one fused q|k|v that lies head by head, tied
// head. A name in the files may lack "transformer.".
#include "models/family.h"

namespace ft {
namespace {

DecoderConfig bloom() {
  DecoderConfig c;
  c.model_type = "bloom";
  c.positions = Positions::alibi;
  c.layer_norm = c.fused_qkv = c.qkv_by_head = true;
  c.qkv_bias = c.o_bias = c.mlp_bias = true;
  c.gated = false;
  c.activation = Activation::gelu_tanh;
  c.names.embed = "transformer.word_embeddings";
  c.names.embed_norm = "transformer.word_embeddings_layernorm";
  c.names.layers = "transformer.h";
  c.names.final_norm = "transformer.ln_f";
  c.names.head = "lm_head";
  c.names.attn_norm = "input_layernorm";
  c.names.qkv = "self_attention.query_key_value";
  c.names.o = "self_attention.dense";
  c.names.mlp_norm = "post_attention_layernorm";
  c.names.up = "mlp.dense_h_to_4h";
  c.names.down = "mlp.dense_4h_to_h";
  c.lora_targets = {"query_key_value"};
  return c;
}

}  // namespace

DecoderConfig bloom_from_json(const JsonConfig& j) {
  DecoderConfig c = bloom();
  c.vocab = j.integer("vocab_size", 250880);
  c.hidden = j.integer("n_embed", j.integer("hidden_size", 64));
  c.layers = j.integer("n_layer", j.integer("num_hidden_layers", 2));
  c.heads = c.kv_heads = j.integer("n_head", j.integer("num_attention_heads", 8));
  c.head_dim = c.hidden / c.heads;
  if (c.head_dim * c.heads != c.hidden)
    j.fail("n_head", fmt::format("{} heads do not divide the hidden size {}", c.heads, c.hidden));
  c.ffn = 4 * c.hidden;
  c.max_positions = j.integer("seq_length", 2048);  // trained on; ALiBi itself has no limit
  c.norm_eps = j.number("layer_norm_epsilon", 1e-5);
  c.residual_after_norm = j.flag("apply_residual_connection_post_layernorm", false);
  c.tied = j.flag("tie_word_embeddings", true);
  c.residual_dropout = j.number("hidden_dropout", 0);
  c.attention_dropout = j.number("attention_dropout", 0);
  c.json = j.json();
  return c;
}

DecoderConfig bloom_from_gguf(const GgufFile& file) {
  const GgufMetadata& m = file.metadata();
  DecoderConfig c = bloom();
  c.layers = m.get_u32("bloom.block_count");
  c.hidden = m.get_u32("bloom.embedding_length");
  c.heads = c.kv_heads = m.get_u32("bloom.attention.head_count");
  if (c.heads == 0 || c.hidden % c.heads != 0)
    bad_input("{}: bloom.attention.head_count does not divide the hidden size", file.path());
  c.head_dim = c.hidden / c.heads;
  c.ffn = 4 * c.hidden;
  c.max_positions = m.get_u32("bloom.context_length");
  c.norm_eps = m.get_f32("bloom.attention.layer_norm_epsilon");
  vocabulary_from_gguf(file, c);
  c.json = {{"hidden_size", c.hidden},       {"n_layer", c.layers},   {"n_head", c.heads},
            {"seq_length", c.max_positions}, {"vocab_size", c.vocab}, {"layer_norm_epsilon", c.norm_eps},
            {"tie_word_embeddings", c.tied}};
  return c;
}

}  // namespace ft
