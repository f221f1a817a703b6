// AdaLoRA's configuration with PEFT's fields (AdaLoraConfig, 0.21).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "adapters/linear_choice.h"

namespace ft {

struct AdaLoraConfig {
  int64_t init_r = 12, target_r = 8;
  int64_t tinit = 0, tfinal = 0, delta_t = 1;
  int64_t total_step = 0;  // 0: the run's
  double beta1 = 0.85, beta2 = 0.85, orth_reg_weight = 0.5;
  double alpha = 8, dropout = 0;
  bool init = true;  // false: everything is drawn, so that nothing starts at zero
  LinearChoice choice;
  /// Of a saved adapter: for each module's lora_E which of init_r singular values are left.
  std::vector<std::pair<std::string, std::vector<bool>>> rank_pattern;

  /// alpha / init_r, with PEFT's guard against a rank of zero.
  double scale() const { return alpha / (static_cast<double>(init_r) + 1e-5); }
  /// Singular values that all `modules` together may have after optimizer step `step` (0-based), and whether
  /// the rest is taken away now.
  struct Budget {
    int64_t values = 0;
    bool cut = false;
  };
  Budget budget(int64_t step, int64_t initial, int64_t modules) const;
};

AdaLoraConfig read_adalora_config(const ConfigNode& node, const std::string& section, bool saved);
nlohmann::ordered_json to_json(const AdaLoraConfig& config, const std::string& base);

}  // namespace ft
