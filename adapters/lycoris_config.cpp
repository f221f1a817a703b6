#include "adapters/lycoris_config.h"

#include "adapters/peft_fields.h"

namespace ft {

int64_t LycorisConfig::rank_of(const Linear& l) const {
  const int64_t* pattern = find_pattern(rank_pattern, l.name);
  return pattern ? *pattern : r;
}

double LycorisConfig::scale_of(const Linear& l) const {
  const double* pattern = find_pattern(alpha_pattern, l.name);
  return (pattern ? *pattern : alpha) / static_cast<double>(rank_of(l));
}

void read_lycoris_fields(Fields& f, LycorisConfig& c, int64_t most) {
  ignore_file_fields(f);
  f.get("r", c.r, between(1, most));
  f.get("alpha", c.alpha, positive());
  f.get("rank_dropout", c.rank_dropout, probability());
  f.get("module_dropout", c.module_dropout, probability());
  f.accept_null_or_default("use_effective_conv2d", ConfigNode(false));
  read_linear_choice(f, c.choice);
  f.get("rank_pattern", c.rank_pattern, between(1, most));
  f.get("alpha_pattern", c.alpha_pattern, positive());
  f.renamed("lora_alpha", "alpha");
  f.renamed("rank", "r");
  f.renamed("dropout", "rank_dropout");
}

void write_lycoris_fields(const LycorisConfig& c, nlohmann::ordered_json& j) {
  j["r"] = c.r;
  j["alpha"] = json_number(c.alpha);
  j["rank_dropout"] = c.rank_dropout;
  j["module_dropout"] = c.module_dropout;
  j["use_effective_conv2d"] = false;
  write_linear_choice(c.choice, j);
  j.erase("fan_in_fan_out");  // a field of other methods
  j["rank_pattern"] = j["alpha_pattern"] = nlohmann::ordered_json::object();
  for (const auto& [key, rank] : c.rank_pattern) j["rank_pattern"][key] = rank;
  for (const auto& [key, alpha] : c.alpha_pattern) j["alpha_pattern"][key] = json_number(alpha);
}

std::vector<Linear*> find_lycoris_linears(Model& model, LycorisConfig& c, const AttachOptions& options,
                                          std::string_view peft_type) {
  for (const auto& [field, p] :
       {std::pair{"rank_dropout", c.rank_dropout}, {"module_dropout", c.module_dropout}})
    if (options.training && p > 0)
      bad_input("{}: {} of {} is not supported in training; leave it at 0", options.where, field, peft_type);
  const std::vector<Linear*> found = find_linears(model, c.choice, options);
  for (const Linear* l : found)
    if (l->is_head)
      bad_input("{}: target_modules: {} on the output head {} is not supported; take LORA there",
                options.where, peft_type, l->name);
  return found;
}

std::vector<std::string> lycoris_notes(const LycorisConfig& c, std::string_view peft_type) {
  if (!c.choice.fan_in_fan_out) return {};
  return {
      fmt::format("PEFT has no {} for this model's layers, which Hugging Face stores as Conv1D: ftengine "
                  "alone reads what is saved (merge folds it into the weights)",
                  peft_type)};
}

}  // namespace ft
