// GPT-2: LayerNorm, learned positions, one fused q|k|v, linear layers stored as Conv1D [in, out], tied head.
#include "models/family.h"

namespace ft {
namespace {

DecoderConfig gpt2() {
  DecoderConfig c;
  c.model_type = "gpt2";
  c.positions = Positions::learned;
  c.layer_norm = c.fused_qkv = c.conv1d = true;
  c.qkv_bias = c.o_bias = c.mlp_bias = true;
  c.gated = false;
  c.names.embed = "transformer.wte";
  c.names.positions = "transformer.wpe";
  c.names.layers = "transformer.h";
  c.names.final_norm = "transformer.ln_f";
  c.names.head = "lm_head";
  c.names.attn_norm = "ln_1";
  c.names.qkv = "attn.c_attn";
  c.names.o = "attn.c_proj";
  c.names.mlp_norm = "ln_2";
  c.names.up = "mlp.c_fc";
  c.names.down = "mlp.c_proj";
  c.ignored = {R"(.*\.attn\.(bias|masked_bias))"};  // causal masks, kept in old files
  c.lora_targets = {"c_attn"};
  return c;
}

}  // namespace

DecoderConfig gpt2_from_json(const JsonConfig& j) {
  DecoderConfig c = gpt2();
  c.vocab = j.integer("vocab_size", 50257);
  c.hidden = j.integer("n_embd", 768);
  c.layers = j.integer("n_layer", 12);
  c.heads = c.kv_heads = j.integer("n_head", 12);
  c.head_dim = c.hidden / c.heads;
  if (c.head_dim * c.heads != c.hidden)
    j.fail("n_head", fmt::format("{} heads do not divide n_embd {}", c.heads, c.hidden));
  c.ffn = j.integer("n_inner", 4 * c.hidden);
  c.max_positions = j.integer("n_positions", 1024);
  c.norm_eps = j.number("layer_norm_epsilon", 1e-5);
  c.activation = activation_from_name(j.text("activation_function", "gelu_new"));
  c.tied = j.flag("tie_word_embeddings", true);
  c.embed_dropout = j.number("embd_pdrop", 0.1);
  c.residual_dropout = j.number("resid_pdrop", 0.1);
  c.attention_dropout = j.number("attn_pdrop", 0.1);
  if (!j.flag("scale_attn_weights", true) || j.flag("scale_attn_by_inverse_layer_idx", false))
    j.fail("scale_attn_by_inverse_layer_idx", "this way of scaling attention is not supported");
  if (j.flag("add_cross_attention", false))
    j.fail("add_cross_attention", "cross attention is not supported in this family");
  c.json = j.json();
  return c;
}

DecoderConfig gpt2_from_gguf(const GgufFile& file) {
  const GgufMetadata& m = file.metadata();
  DecoderConfig c = gpt2();
  c.layers = m.get_u32("gpt2.block_count");
  c.hidden = m.get_u32("gpt2.embedding_length");
  c.ffn = m.get_u32("gpt2.feed_forward_length");
  c.heads = c.kv_heads = m.get_u32("gpt2.attention.head_count");
  if (c.heads == 0 || c.hidden % c.heads != 0)
    bad_input("{}: gpt2.attention.head_count does not divide the hidden size", file.path());
  c.head_dim = c.hidden / c.heads;
  c.max_positions = m.get_u32("gpt2.context_length");
  c.norm_eps = m.get_f32("gpt2.attention.layer_norm_epsilon");
  c.activation = Activation::gelu_tanh;
  vocabulary_from_gguf(file, c);
  c.json = {{"n_embd", c.hidden},
            {"n_layer", c.layers},
            {"n_head", c.heads},
            {"n_inner", c.ffn},
            {"n_positions", c.max_positions},
            {"vocab_size", c.vocab},
            {"layer_norm_epsilon", c.norm_eps},
            {"activation_function", "gelu_new"},
            {"tie_word_embeddings", c.tied}};
  return c;
}

}  // namespace ft
