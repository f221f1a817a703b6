#include "adapters/peft_fields.h"

namespace ft {

void ignore_file_fields(Fields& fields) {
  for (const char* key : {"peft_type", "task_type", "base_model_name_or_path", "revision", "auto_mapping",
                          "inference_mode", "peft_version", "init_from"})
    fields.node(key);
}

void finish_fields(Fields& fields, bool saved) {
  if (saved)
    fields.finish_lenient();
  else
    fields.finish();
}

void read_names(Fields& fields, std::string_view key, std::vector<std::string>& names) {
  const ConfigNode* node = fields.node(key);
  if (!node || node->is_null()) return;
  if (node->is_string())
    read(*node, fields.name(key), names.emplace_back());
  else
    read(*node, fields.name(key), names);
}

void accept_unsupported_lora_fields(Fields& fields) {
  for (const char* key : {"megatron_core", "qalora_group_size"}) fields.node(key);
  for (const char* key : {"lora_bias", "loftq_config", "eva_config", "corda_config", "layer_replication",
                          "megatron_config", "target_parameters", "trainable_token_indices", "use_qalora",
                          "alora_invocation_tokens", "arrow_config", "ensure_weight_tying"})
    fields.accept_null_or_default(key);
}

void read_layers(Fields& fields, std::vector<int64_t>& layers) {
  constexpr std::string_view kKey = "layers_to_transform";
  const ConfigNode* node = fields.node(kKey);
  if (!node || node->is_null()) return;
  if (node->kind() == ConfigNode::Kind::integer)
    read(*node, fields.name(kKey), layers.emplace_back());
  else
    read(*node, fields.name(kKey), layers);
}

nlohmann::ordered_json file_fields(std::string_view peft_type, const std::string& base) {
  return {{"peft_type", peft_type},
          {"task_type", "CAUSAL_LM"},
          {"base_model_name_or_path", base},
          {"inference_mode", true}};
}

}  // namespace ft
