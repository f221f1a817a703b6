// The fields by which PEFT's low-rank methods say where they act, and what follows from them.
#pragma once

#include <string>
#include <vector>

#include "adapters/targets.h"
#include "engine/nn/adapter.h"

namespace ft {

struct LinearChoice {
  ModuleChoice target_modules, exclude_modules;
  std::vector<int64_t> layers_to_transform;
  std::vector<std::string> layers_pattern;
  std::vector<std::string> modules_to_save;
  bool fan_in_fan_out = false;
};

void read_linear_choice(Fields& fields, LinearChoice& choice);
void write_linear_choice(const LinearChoice& choice, nlohmann::ordered_json& json);

/// The linear layers meant, in forward order; fills in the family's default and what PEFT's files say of the
/// layers' layout. `parts`: names of parts of fused projections count. Throws ft::InputError, also for a
/// layer that is trained whole.
std::vector<Linear*> find_linears(Model& model, LinearChoice& choice, const AttachOptions& options,
                                  bool parts = false);

/// Unique in the model and among stacked adapters, for dropout.
uint32_t dropout_site(Model& model, const Linear& linear, const AttachOptions& options);

/// PyTorch's kaiming_uniform(a = √5) of a linear layer, U(−1/√in, 1/√in).
void fill_kaiming(Parameter& p, int64_t fan_in, uint64_t seed);
/// N(0, deviation²).
void fill_normal(Parameter& p, double deviation, uint64_t seed);

/// Whole numbers without a fraction, as PEFT writes them.
nlohmann::ordered_json json_number(double v);

/// Adds factor · Σ_i b_t[i, n] · e[i] · a[i, k] to values [out, in], summed in double; `e` empty: ones.
void add_low_rank(const std::vector<float>& a, const std::vector<float>& b_t, const std::vector<float>& e,
                  int64_t rank, double factor, std::vector<float>& values);

}  // namespace ft
