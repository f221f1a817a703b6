#include "adapters/adalora_config.h"

#include "adapters/lora_config.h"
#include "adapters/peft_fields.h"

namespace ft {
namespace {

void read_pattern(Fields& f, AdaLoraConfig& c) {
  const ConfigNode* node = f.node("rank_pattern");
  if (!node || node->is_null()) return;
  read(*node, f.name("rank_pattern"), c.rank_pattern);
  for (const auto& [key, kept] : c.rank_pattern)
    if (static_cast<int64_t>(kept.size()) != c.init_r)
      f.fail("rank_pattern", fmt::format("{} has {} entries, init_r is {}", key, kept.size(), c.init_r));
}

}  // namespace

AdaLoraConfig read_adalora_config(const ConfigNode& node, const std::string& section, bool saved) {
  AdaLoraConfig c;
  Fields f(node, section);
  ignore_file_fields(f);
  const NumberRange open{.low = 1e-9, .high = 1 - 1e-9};
  f.get("init_r", c.init_r, between(1, kMaxRank));
  f.get("target_r", c.target_r, between(1, kMaxRank));
  f.get("tinit", c.tinit, at_least(0));
  f.get("tfinal", c.tfinal, at_least(0));
  f.get("deltaT", c.delta_t, at_least(1));
  std::optional<int64_t> total;
  f.get("total_step", total, at_least(1));
  c.total_step = total.value_or(0);
  f.get("beta1", c.beta1, open);
  f.get("beta2", c.beta2, open);
  f.get("orth_reg_weight", c.orth_reg_weight, at_least(0));
  f.get("lora_alpha", c.alpha, positive());
  f.get("lora_dropout", c.dropout, probability());
  f.get("init_lora_weights", c.init);
  read_linear_choice(f, c.choice);
  read_pattern(f, c);
  if (c.target_r > c.init_r) f.fail("target_r", fmt::format("is above init_r, {}", c.init_r));
  if (!saved && c.total_step > 0 && c.tinit >= c.total_step - c.tfinal)
    f.fail("total_step", fmt::format("of {} steps tinit takes {} and tfinal {}: none are left in which the "
                                     "budget could fall; lower them, or train longer",
                                     c.total_step, c.tinit, c.tfinal));
  if (saved) {
    f.node("r");  // PEFT writes it and ignores it
  } else {
    f.renamed("r", "init_r and target_r");
  }
  f.accept_null_or_default("bias", ConfigNode("none"));
  accept_unsupported_lora_fields(f);
  finish_fields(f, saved);
  return c;
}

nlohmann::ordered_json to_json(const AdaLoraConfig& c, const std::string& base) {
  nlohmann::ordered_json j = file_fields("ADALORA", base);
  j["init_r"] = c.init_r;
  j["target_r"] = c.target_r;
  j["tinit"] = c.tinit;
  j["tfinal"] = c.tfinal;
  j["deltaT"] = c.delta_t;
  j["total_step"] = c.total_step > 0 ? nlohmann::ordered_json(c.total_step) : nlohmann::ordered_json();
  j["beta1"] = c.beta1;
  j["beta2"] = c.beta2;
  j["orth_reg_weight"] = c.orth_reg_weight;
  j["lora_alpha"] = json_number(c.alpha);
  j["lora_dropout"] = c.dropout;
  j["init_lora_weights"] = c.init;
  j["bias"] = "none";
  write_linear_choice(c.choice, j);
  if (c.rank_pattern.empty()) {
    j["rank_pattern"] = nlohmann::ordered_json();
  } else {
    for (const auto& [key, kept] : c.rank_pattern) j["rank_pattern"][key] = kept;
  }
  return j;
}

AdaLoraConfig::Budget AdaLoraConfig::budget(int64_t step, int64_t initial, int64_t modules) const {
  const int64_t final_values = target_r * modules;
  if (step <= tinit) return {initial, false};
  if (step >= total_step - tfinal) return {final_values, step == total_step - tfinal};
  const double left =
      1 - static_cast<double>(step - tinit) / static_cast<double>(total_step - tfinal - tinit);
  return {static_cast<int64_t>(static_cast<double>(initial - final_values) * (left * left * left) +
                               static_cast<double>(final_values)),
          step % delta_t == 0};
}

}  // namespace ft
