// LoRA's configuration with PEFT's fields (LoraConfig, 0.21): from YAML or adapter_config.json, and back.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "adapters/linear_choice.h"

namespace ft {

enum class LoraBias { none, all, lora_only };
constexpr std::array<EnumName<LoraBias>, 3> enum_names(LoraBias) {
  return {{{LoraBias::none, "none"}, {LoraBias::all, "all"}, {LoraBias::lora_only, "lora_only"}}};
}

/// init_lora_weights: true, "gaussian", false, "orthogonal", "olora", "pissa" or "pissa_niter_N".
struct LoraInit {
  enum class Kind { kaiming, gaussian, random, orthogonal, olora, pissa };
  Kind kind = Kind::kaiming;
  int iterations = -1;  // of the randomised decomposition; −1: the exact one

  /// Do A and B start from W itself? Then what is trained is the difference from the start.
  bool from_weight() const { return kind == Kind::olora || kind == Kind::pissa; }
};

struct LoraConfig {
  int64_t r = 8;
  double alpha = 8;
  double dropout = 0;
  LinearChoice choice;
  LoraBias bias = LoraBias::none;
  bool use_rslora = false, use_dora = false;
  std::vector<std::pair<std::string, int64_t>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;
  LoraInit init;

  int64_t rank_of(const Linear& l) const;
  /// alpha / r, or alpha / √r.
  double scale_of(const Linear& l) const;
};

constexpr int64_t kMaxRank = 4096;

LoraConfig read_lora_config(const ConfigNode& node, const std::string& section, bool saved);
/// `base`: base_model_name_or_path.
nlohmann::ordered_json to_json(const LoraConfig& config, const std::string& base);
/// The configuration of the difference s (B A − B₀ A₀) as one LoRA: twice the rank, the same scale.
LoraConfig difference_from_start(LoraConfig config);

}  // namespace ft
