#include "engine/config/fields.h"

#include <algorithm>

#include "engine/config/nearest.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

/// Null, false, "", [] or {}: PEFT writes these for what is switched off.
bool asks_for_nothing(const ConfigNode& node) {
  switch (node.kind()) {
    case ConfigNode::Kind::null:
      return true;
    case ConfigNode::Kind::boolean:
      return !node.boolean();
    case ConfigNode::Kind::string:
      return node.string().empty();
    case ConfigNode::Kind::list:
    case ConfigNode::Kind::map:
      return node.size() == 0;
    default:
      return false;
  }
}

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

Fields::Fields(const ConfigNode& node, std::string section) : node_(node), section_(std::move(section)) {
  if (!node.is_map() && !node.is_null()) {
    bad_value(node, section_.empty() ? "the top level" : section_, "a mapping of keys to values");
  }
}

std::string Fields::name(std::string_view key) const {
  return section_.empty() ? std::string(key) : fmt::format("{}.{}", section_, key);
}

const ConfigNode* Fields::node(std::string_view key) {
  if (!contains(known_, key)) known_.emplace_back(key);
  return node_.find(key);
}

bool Fields::has(std::string_view key) {
  const ConfigNode* found = node(key);
  return found && !found->is_null();
}

void Fields::require(std::string_view key, std::string_view what) {
  if (!has(key)) bad_input("{}: {} is missing; {}", node_.where(), name(key), what);
}

void Fields::renamed(std::string_view old_key, std::string_view right) {
  if (const ConfigNode* found = node_.find(old_key)) {
    bad_input("{}: unknown key '{}'{}{}; it is called '{}' here", found->where(), old_key,
              section_.empty() ? "" : " in ", section_, right);
  }
}

void Fields::accept_null_or_default(std::string_view key, const ConfigNode& fallback) {
  ignore(key);
  const ConfigNode* found = node_.find(key);
  if (!found || asks_for_nothing(*found) || *found == fallback) return;
  const bool numbers = found->kind() == ConfigNode::Kind::integer || found->kind() == ConfigNode::Kind::real;
  if (numbers &&
      (fallback.kind() == ConfigNode::Kind::integer || fallback.kind() == ConfigNode::Kind::real)) {
    if (read_real(*found, name(key), {}) == read_real(fallback, name(key), {})) return;  // 1 is 1.0
  }
  fail(key, fmt::format("not supported, but set to {}; remove it", found->describe()));
}

void Fields::finish(Hint* hint) {
  finish(hint, false);
}
void Fields::finish_lenient() {
  finish(nullptr, true);
}

void Fields::finish(Hint* hint, bool lenient) {
  for (size_t i = 0; i < node_.size(); ++i) {
    const std::string& key = node_.key(i);
    if (contains(known_, key) || contains(accepted_, key)) continue;
    if (lenient && asks_for_nothing(node_[i])) continue;
    std::string advice = hint ? hint(key) : "";
    if (advice.empty()) {
      const auto near = nearest(key, known_);
      advice = near ? fmt::format("did you mean '{}'?", *near)
                    : fmt::format("known keys: {}", fmt::join(known_, ", "));
    }
    bad_input("{}: unknown key '{}'{}{}; {}", node_.key_where(i), printable(key, 60),
              section_.empty() ? "" : " in ", section_, advice);
  }
}

void Fields::fail(std::string_view key, std::string_view message) const {
  const ConfigNode* found = node_.find(key);
  bad_input("{}: {}: {}", (found ? *found : node_).where(), name(key), message);
}

}  // namespace ft
