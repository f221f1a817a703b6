#include "adapters/registry.h"

#include "engine/config/json.h"
#include "engine/io/json.h"

namespace ft {

const std::vector<AdapterKind>& adapter_kinds() {
  static const std::vector<AdapterKind> kinds = {
      {"LORA", "low-rank changes of linear layers (Hu et al. 2021)", 1e-4, make_lora},
      {"IA3", "learned factors on outputs and feed-forward inputs (Liu et al. 2022)", 3e-3, make_ia3},
      {"BITFIT", "the biases alone (Ben Zaken et al. 2022)", 1e-3, make_bitfit},
      {"LN_TUNING", "the norm layers alone (Zhao et al. 2023)", 1e-3, make_ln_tuning},
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

ConfigNode read_adapter_config(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "adapter_config.json";
  if (!std::filesystem::exists(file))
    bad_input("{}: no adapter_config.json; expected a folder with a saved adapter", folder.string());
  const Json json = read_json_file(file);
  if (!json.is_object()) bad_input("{}: expected a JSON object", file.string());
  return from_json(json, std::make_shared<const Source>(Source{file.string(), folder}));
}

}  // namespace ft
