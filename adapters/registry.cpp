#include "adapters/registry.h"

#include "engine/config/json.h"
#include "engine/io/json.h"

namespace ft {

const std::vector<AdapterKind>& adapter_kinds() {
  static const std::vector<AdapterKind> kinds = {
      {"LORA",
       "low-rank changes of linear layers (Hu et al. 2021); use_dora, use_rslora; init_lora_weights true, "
       "gaussian, orthogonal, olora, pissa, pissa_niter_N; of a fused projection also q, k or v alone: "
       "target_modules c_attn.q",
       5e-4, make_lora},
      {"ADALORA", "low-rank changes whose ranks training shares out (Zhang et al. 2023)", 1e-2, make_adalora},
      {"VERA", "learned factors on shared random projections (Kopiczko et al. 2024)", 5e-2, make_vera},
      {"LOHA", "element-wise products of two low-rank changes (Hyeon-Woo et al. 2022)", 1e-2, make_loha},
      {"LOKR",
       "Kronecker products of small matrices (Yeh et al. 2024); decompose_factor, decompose_both; "
       "init_weights "
       "true, false, lycoris",
       1e-2, make_lokr},
      {"IA3", "learned factors on outputs and feed-forward inputs (Liu et al. 2022)", 1e-2, make_ia3},
      {"BITFIT", "the biases alone (Ben Zaken et al. 2022)", 1e-3, make_bitfit},
      {"LN_TUNING", "the norm layers alone (Zhao et al. 2023)", 3e-3, make_ln_tuning},
      {"PROMPT_TUNING",
       "a learned prompt of num_virtual_tokens rows, 20; prompt_tuning_init SAMPLE_VOCAB, TEXT or RANDOM "
       "(Lester et al. 2021)",
       3e-2, make_prompt_tuning},
      {"P_TUNING",
       "a prompt made by an MLP or LSTM encoder; encoder_num_layers and encoder_dropout are the LSTM's, "
       "an MLP ignores them as PEFT's does (Liu et al. 2021)",
       3e-3, make_p_tuning},
      {"PREFIX_TUNING",
       "learned keys and values before every layer, plain or, with prefix_projection, by an MLP or LSTM "
       "encoder (Li and Liang 2021; P-tuning v2, Liu et al. 2022)",
       3e-2, make_prefix_tuning, 3e-3},
      {"BOTTLENECK", "small networks behind the sublayers (Houlsby et al. 2019, Pfeiffer et al. 2021)", 1e-3,
       make_bottleneck},
      {"TRAINABLE",
       "the base's parameters whose names match `trainable: [regex]`, beside an adapter or alone", 2e-5,
       make_by_name},
      {"NONE", "full fine-tuning: every weight is trained", 2e-5, make_full},
  };
  return kinds;
}

const AdapterKind& find_adapter_kind(const ConfigNode& config) {
  const ConfigNode* type = config.find("peft_type");
  std::string known;
  for (const AdapterKind& k : adapter_kinds())
    known += (known.empty() ? "" : ", ") + std::string(k.peft_type);
  if (!type) bad_input("{}: adapter has no peft_type; write one of: {}, or init_from", config.where(), known);
  if (type->is_string())
    for (const AdapterKind& k : adapter_kinds())
      if (k.peft_type == type->string()) return k;
  bad_input("{}: adapter.peft_type: {} is not supported; known: {}", type->where(), type->describe(), known);
}

double default_learning_rate(const ConfigNode& config) {
  const AdapterKind& kind = find_adapter_kind(config);
  const ConfigNode* projection = config.find("prefix_projection");
  const bool projected =
      projection && projection->kind() == ConfigNode::Kind::boolean && projection->boolean();
  return projected && kind.projected_rate > 0 ? kind.projected_rate : kind.learning_rate;
}

ConfigNode read_adapter_config(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "adapter_config.json";
  if (!std::filesystem::exists(file))
    bad_input("{}: no adapter_config.json; expected a folder with a saved adapter", folder.string());
  const Json json = read_json_file(file);
  if (!json.is_object()) bad_input("{}: expected a JSON object", file.string());
  ConfigNode config = from_json(json, std::make_shared<const Source>(Source{file.string(), folder}));
  const std::filesystem::path extra = folder / "ftengine.json";
  if (!std::filesystem::exists(extra)) return config;
  const Json origin = read_json_file(extra);
  const auto own = origin.is_object() ? origin.find("adapter") : origin.end();
  if (own == origin.end() || !own->is_object()) return config;
  const auto source = std::make_shared<const Source>(Source{extra.string(), folder});
  for (const auto& [key, value] : own->items()) config.set(key, from_json(value, source));
  return config;
}

}  // namespace ft
