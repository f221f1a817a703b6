// The methods: from a YAML section or a saved adapter to an Adapter.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/config/node.h"
#include "engine/nn/adapter.h"

namespace ft {

struct AdapterKind {
  std::string_view peft_type, description;
  double learning_rate;  // default: of the rates of bench/methods --rates one that also suits larger models
  /// Reads the method's own fields; `section` names the mapping in messages. `saved`: the node is a saved
  /// adapter_config.json, which other versions of PEFT may have written.
  std::unique_ptr<Adapter> (*make)(const ConfigNode& config, const std::string& section, bool saved);
  double projected_rate = 0;  // default with prefix_projection: an encoder's weights want smaller steps
};

const std::vector<AdapterKind>& adapter_kinds();
/// Throws ft::InputError that names the known types.
const AdapterKind& find_adapter_kind(const ConfigNode& config);
/// What training.learning_rate is where the YAML has none.
double default_learning_rate(const ConfigNode& config);

/// A saved adapter's configuration: FOLDER/adapter_config.json.
ConfigNode read_adapter_config(const std::filesystem::path& folder);

std::unique_ptr<Adapter> make_lora(const ConfigNode& config, const std::string& section, bool saved);
std::unique_ptr<Adapter> make_adalora(const ConfigNode& config, const std::string& section, bool saved);
std::unique_ptr<Adapter> make_vera(const ConfigNode& config, const std::string& section, bool saved);
std::unique_ptr<Adapter> make_loha(const ConfigNode& config, const std::string& section, bool saved);
std::unique_ptr<Adapter> make_lokr(const ConfigNode& config, const std::string& section, bool saved);
std::unique_ptr<Adapter> make_ia3(const ConfigNode& config, const std::string& section, bool saved);
std::unique_ptr<Adapter> make_bitfit(const ConfigNode& config, const std::string& section, bool saved);
std::unique_ptr<Adapter> make_ln_tuning(const ConfigNode& config, const std::string& section, bool saved);
std::unique_ptr<Adapter> make_prompt_tuning(const ConfigNode& config, const std::string& section, bool saved);
std::unique_ptr<Adapter> make_p_tuning(const ConfigNode& config, const std::string& section, bool saved);
std::unique_ptr<Adapter> make_prefix_tuning(const ConfigNode& config, const std::string& section, bool saved);
std::unique_ptr<Adapter> make_bottleneck(const ConfigNode& config, const std::string& section, bool saved);
std::unique_ptr<Adapter> make_by_name(const ConfigNode& config, const std::string& section, bool saved);
std::unique_ptr<Adapter> make_full(const ConfigNode& config, const std::string& section, bool saved);

}  // namespace ft
