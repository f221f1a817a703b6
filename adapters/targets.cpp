#include "adapters/targets.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "adapters/name_pattern.h"
#include "engine/config/nearest.h"

namespace ft {
namespace {

// The last parts of all linear layers' names, for messages.
std::vector<std::string> short_names(Model& model, bool parts) {
  std::vector<std::string> names;
  const auto add = [&](const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  for (const Linear* l : model.linears()) {
    const std::string last = l->name.substr(l->name.rfind('.') + 1);
    add(last);
    if (parts)
      for (const OutputPart& part : l->parts) add(last + "." + part.name);
  }
  return names;
}

[[noreturn]] void no_match(Model& model, const std::string& name, const TargetQuery& q) {
  const std::string& where = q.where;
  const std::vector<std::string> known = short_names(model, q.parts);
  const std::optional<std::string> near = nearest(name, known);
  bad_input("{}: target_modules: no linear layer of this {} model is called '{}'{}; it has: {}", where,
            model.facts().model_type, name, near ? fmt::format("; did you mean '{}'?", *near) : "",
            fmt::join(known, ", "));
}

bool chosen(const ModuleChoice& choice, const Linear& l, const std::string& name,
            const std::optional<NamePattern>& pattern) {
  if (choice.all_linear) return !l.is_head;
  if (pattern) return pattern->matches(name);
  return std::any_of(choice.names.begin(), choice.names.end(),
                     [&](const std::string& n) { return names_module(n, name); });
}

// The module's name, and those of its parts where they count.
std::vector<std::string> names_of(const Linear& l, bool parts) {
  std::vector<std::string> names = {l.name};
  if (parts)
    for (const OutputPart& part : l.parts) names.push_back(l.name + "." + part.name);
  return names;
}

}  // namespace

bool names_module(const std::string& name, const std::string& module) {
  return module == name || (module.size() > name.size() && module.ends_with(name) &&
                            module[module.size() - name.size() - 1] == '.');
}

bool matches_whole(const std::string& pattern, const std::string& name) {
  return NamePattern(pattern, "adapter").matches(name);
}
bool matches_end(const std::string& pattern, const std::string& name) {
  return matches_whole("(.*\\.)?(" + pattern + ")", name);
}

int64_t layer_of(const Model& model, const std::string& name) {
  const std::string part = "." + model.facts().layers_pattern + ".";
  const size_t at = name.find(part);
  if (at == std::string::npos) return -1;
  int64_t layer = -1;
  const char* first = name.data() + at + part.size();
  std::from_chars(first, name.data() + name.size(), layer);
  return layer;
}

bool in_layers(const Model& model, const std::vector<int64_t>& layers, const std::string& name) {
  return layers.empty() || std::find(layers.begin(), layers.end(), layer_of(model, name)) != layers.end();
}

void check_layers(const Model& model, const std::vector<int64_t>& layers, const std::string& where) {
  for (const int64_t layer : layers)
    if (layer < 0 || layer >= model.facts().layers)
      bad_input("{}: layers_to_transform: layer {} does not exist; the model has layers 0 to {}", where,
                layer, model.facts().layers - 1);
}

bool pattern_matches(const std::string& pattern, const std::string& module) {
  return NamePattern("(.*\\.)?(" + pattern + ")", "rank_pattern or alpha_pattern").matches(module);
}

void read_choice(Fields& fields, std::string_view key, ModuleChoice& choice) {
  const ConfigNode* node = fields.node(key);
  if (!node || node->is_null()) return;
  if (node->is_string()) {
    if (node->string() == "all-linear")
      choice.all_linear = true;
    else
      choice.pattern = node->string();
    if (node->string().empty()) fields.fail(key, "expected a name, got an empty text");
    return;
  }
  if (!node->is_list())
    fields.fail(key, fmt::format("expected a list of names, a regular expression or all-linear, got {}",
                                 node->describe()));
  read(*node, fields.name(key), choice.names);
  if (choice.names.empty()) fields.fail(key, "the list is empty");
}

nlohmann::ordered_json to_json(const ModuleChoice& choice) {
  if (choice.all_linear) return "all-linear";
  if (!choice.pattern.empty()) return choice.pattern;
  return choice.names;
}

std::vector<Linear*> find_targets(Model& model, const TargetQuery& q) {
  std::optional<NamePattern> target, excluded;
  if (!q.targets.pattern.empty()) target.emplace(q.targets.pattern, q.where);
  if (!q.excluded.pattern.empty()) excluded.emplace(q.excluded.pattern, q.where);
  for (const std::string& pattern : q.layers_pattern)
    if (pattern != model.facts().layers_pattern)
      bad_input("{}: layers_pattern: this {} model's layers are called '{}', not '{}'", q.where,
                model.facts().model_type, model.facts().layers_pattern, pattern);
  check_layers(model, q.layers, q.where);
  std::vector<Linear*> found;
  std::set<std::string> seen;
  for (Linear* l : model.linears()) {
    bool meant = false;
    for (const std::string& name : names_of(*l, q.parts)) {
      meant |= chosen(q.targets, *l, name, target);
      for (const std::string& n : q.targets.names)
        if (names_module(n, name)) seen.insert(n);
    }
    if (!meant) continue;
    if (!q.layers.empty() &&
        (l->layer < 0 || std::find(q.layers.begin(), q.layers.end(), l->layer) == q.layers.end()))
      continue;
    if (chosen(q.excluded, *l, l->name, excluded)) continue;
    found.push_back(l);
  }
  for (const std::string& n : q.targets.names)
    if (!seen.contains(n)) no_match(model, n, q);
  if (found.empty() && target) no_match(model, q.targets.pattern, q);
  if (found.empty())
    bad_input("{}: target_modules: everything that they name is excluded or in other layers", q.where);
  return found;
}

std::vector<const OutputPart*> named_parts(const ModuleChoice& targets, const Linear& linear) {
  std::optional<NamePattern> pattern;
  if (!targets.pattern.empty()) pattern.emplace(targets.pattern, "target_modules");
  std::vector<const OutputPart*> parts;
  if (chosen(targets, linear, linear.name, pattern)) return parts;
  for (const OutputPart& part : linear.parts)
    if (chosen(targets, linear, linear.name + "." + part.name, pattern)) parts.push_back(&part);
  return parts;
}

}  // namespace ft
