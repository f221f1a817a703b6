// Which modules a configuration means, by PEFT's rules: a list entry names a module whole or by its last
// parts; a text is a regular expression over the whole name; "all-linear" is every linear layer but the head.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/config/fields.h"
#include "engine/nn/model.h"

namespace ft {

/// PEFT's `target_modules` and `exclude_modules`: nothing, a list, or one text.
struct ModuleChoice {
  std::vector<std::string> names;
  std::string pattern;
  bool all_linear = false;
  bool empty() const { return names.empty() && pattern.empty() && !all_linear; }
};

void read_choice(Fields& fields, std::string_view key, ModuleChoice& choice);
nlohmann::ordered_json to_json(const ModuleChoice& choice);

/// "q_proj" matches "model.layers.0.self_attn.q_proj".
bool names_module(const std::string& name, const std::string& module);

/// Regular expression over a whole name, or over its last parts (`layers.0.q_proj` in PEFT's rank_pattern).
/// Throws ft::InputError for what is no regular expression.
bool matches_whole(const std::string& pattern, const std::string& name);
bool matches_end(const std::string& pattern, const std::string& name);

/// The layer of a module or parameter by its name; -1 outside the layers.
int64_t layer_of(const Model& model, const std::string& name);
/// Is it in one of `layers` (empty: everywhere)?
bool in_layers(const Model& model, const std::vector<int64_t>& layers, const std::string& name);
/// Throws ft::InputError for a layer that the model does not have.
void check_layers(const Model& model, const std::vector<int64_t>& layers, const std::string& where);

struct TargetQuery {
  ModuleChoice targets, excluded;
  std::vector<int64_t> layers;              // layers_to_transform; empty: all
  std::vector<std::string> layers_pattern;  // empty: the family's
  std::string where;
  bool parts = false;  // may a name mean a part of a fused projection, "c_attn.q"?
};

/// The linear layers meant, in forward order. Throws ft::InputError for a name that matches nothing (with the
/// nearest names and the full list), a pattern that matches nothing, a layer that does not exist.
std::vector<Linear*> find_targets(Model& model, const TargetQuery& query);

/// The parts of `linear` that `targets` name without naming it whole ("c_attn.q": q of GPT-2's q|k|v).
std::vector<const OutputPart*> named_parts(const ModuleChoice& targets, const Linear& linear);

/// Key of `patterns` that PEFT would apply to `module`: the first that matches its end.
template <class T>
const T* find_pattern(const std::vector<std::pair<std::string, T>>& patterns, const std::string& module);
bool pattern_matches(const std::string& pattern, const std::string& module);

template <class T>
const T* find_pattern(const std::vector<std::pair<std::string, T>>& patterns, const std::string& module) {
  for (const auto& [pattern, value] : patterns)
    if (pattern_matches(pattern, module)) return &value;
  return nullptr;
}

}  // namespace ft
