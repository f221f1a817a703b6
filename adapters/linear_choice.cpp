#include "adapters/linear_choice.h"

#include <algorithm>
#include <cmath>

#include "adapters/peft_fields.h"
#include "engine/core/rng.h"

namespace ft {

void read_linear_choice(Fields& f, LinearChoice& c) {
  read_choice(f, "target_modules", c.target_modules);
  read_choice(f, "exclude_modules", c.exclude_modules);
  read_layers(f, c.layers_to_transform);
  read_names(f, "layers_pattern", c.layers_pattern);
  read_names(f, "modules_to_save", c.modules_to_save);
  f.get("fan_in_fan_out", c.fan_in_fan_out);
}

void write_linear_choice(const LinearChoice& c, nlohmann::ordered_json& j) {
  j["target_modules"] = to_json(c.target_modules);
  j["exclude_modules"] = c.exclude_modules.empty() ? nlohmann::ordered_json() : to_json(c.exclude_modules);
  j["layers_to_transform"] = list_or_null(c.layers_to_transform);
  j["layers_pattern"] = list_or_null(c.layers_pattern);
  j["modules_to_save"] = list_or_null(c.modules_to_save);
  j["fan_in_fan_out"] = c.fan_in_fan_out;
}

std::vector<Linear*> find_linears(Model& model, LinearChoice& c, const AttachOptions& options, bool parts) {
  if (c.target_modules.empty()) c.target_modules.names = model.facts().lora_targets;
  const std::vector<Linear*> found = find_targets(model, {.targets = c.target_modules,
                                                          .excluded = c.exclude_modules,
                                                          .layers = c.layers_to_transform,
                                                          .layers_pattern = c.layers_pattern,
                                                          .where = options.where,
                                                          .parts = parts});
  for (const Linear* l : found) {
    if (l->weight.parameter->trainable)
      bad_input("{}: {} is named by both target_modules and modules_to_save; take it out of one",
                options.where, l->name);
    c.fan_in_fan_out = l->conv1d;
  }
  return found;
}

uint32_t dropout_site(Model& model, const Linear& linear, const AttachOptions& options) {
  const std::vector<Linear*> all = model.linears();
  const auto place = static_cast<uint32_t>(std::find(all.begin(), all.end(), &linear) - all.begin());
  return (1u << 16) * static_cast<uint32_t>(1 + options.index) + place;
}

void fill_kaiming(Parameter& p, int64_t fan_in, uint64_t seed) {
  Rng rng(seed, p.name);
  std::vector<float> values(static_cast<size_t>(p.numel()));
  const float bound = 1 / std::sqrt(static_cast<float>(fan_in));
  for (float& v : values) v = rng.uniform(-bound, bound);
  from_plain(p, values);
}

void fill_normal(Parameter& p, double deviation, uint64_t seed) {
  Rng rng(seed, p.name);
  std::vector<float> values(static_cast<size_t>(p.numel()));
  for (float& v : values) v = rng.normal() * static_cast<float>(deviation);
  from_plain(p, values);
}

nlohmann::ordered_json json_number(double v) {
  if (v == std::floor(v) && std::abs(v) < 1e15) return static_cast<int64_t>(v);
  return v;
}

void add_low_rank(const std::vector<float>& a, const std::vector<float>& b_t, const std::vector<float>& e,
                  int64_t rank, double factor, std::vector<float>& values) {
  if (rank == 0) return;
  const auto in = static_cast<int64_t>(a.size()) / rank, out = static_cast<int64_t>(b_t.size()) / rank;
  std::vector<double> row(static_cast<size_t>(in));
  for (int64_t n = 0; n < out; ++n) {
    std::fill(row.begin(), row.end(), 0.0);
    for (int64_t i = 0; i < rank; ++i) {
      const double b = static_cast<double>(b_t[i * out + n]) * (e.empty() ? 1.0 : e[i]);
      for (int64_t k = 0; k < in; ++k) row[k] += b * a[i * in + k];
    }
    for (int64_t k = 0; k < in; ++k)
      values[n * in + k] = static_cast<float>(values[n * in + k] + factor * row[k]);
  }
}

}  // namespace ft
