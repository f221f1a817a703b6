#include "engine/config/node.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/io/printable.h"

namespace ft {
namespace {

std::string place(const SourcePtr& source, int line) {
  if (!source) return "configuration";
  return line > 0 ? fmt::format("{}:{}", source->name, line) : source->name;
}

}  // namespace

ConfigNode ConfigNode::list(std::vector<ConfigNode> items) {
  ConfigNode node;
  node.kind_ = Kind::list;
  node.items_ = std::move(items);
  return node;
}

ConfigNode ConfigNode::map() {
  ConfigNode node;
  node.kind_ = Kind::map;
  return node;
}

const ConfigNode* ConfigNode::find(std::string_view key) const {
  for (size_t i = 0; i < keys_.size(); ++i) {
    if (keys_[i].name == key) return &items_[i];
  }
  return nullptr;
}

ConfigNode* ConfigNode::find(std::string_view key) {
  return const_cast<ConfigNode*>(std::as_const(*this).find(key));
}

ConfigNode& ConfigNode::set(std::string_view key, ConfigNode value) {
  if (kind_ == Kind::null) kind_ = Kind::map;
  FT_CHECK(kind_ == Kind::map, "[config] {}: expected a mapping to set '{}' in, got {}", where(), key,
           describe());
  if (ConfigNode* old = find(key)) return *old = std::move(value);
  keys_.push_back({std::string(key), value.line_, value.source_});
  return items_.emplace_back(std::move(value));
}

bool ConfigNode::erase(std::string_view key) {
  const ConfigNode* node = find(key);
  if (!node) return false;
  const auto index = node - items_.data();
  keys_.erase(keys_.begin() + index);
  items_.erase(items_.begin() + index);
  return true;
}

ConfigNode& ConfigNode::append(ConfigNode value) {
  if (kind_ == Kind::null) kind_ = Kind::list;
  FT_CHECK(kind_ == Kind::list, "[config] {}: expected a list to append to, got {}", where(), describe());
  return items_.emplace_back(std::move(value));
}

std::string ConfigNode::where() const {
  return place(source_, line_);
}

std::string ConfigNode::key_where(size_t index) const {
  const Key& key = keys_.at(index);
  return place(key.source, key.line);
}

std::string ConfigNode::describe() const {
  switch (kind_) {
    case Kind::null:
      return "nothing (null)";
    case Kind::boolean:
      return boolean() ? "true" : "false";
    case Kind::integer:
      return fmt::format("the number {}", integer());
    case Kind::real:
      return fmt::format("the number {}", real());
    case Kind::string:
      return fmt::format("the text '{}'", printable(string(), 60));
    case Kind::list:
      return fmt::format("a list of {}", size());
    case Kind::map:
      return "a mapping";
  }
  return {};
}

void ConfigNode::set_origin(SourcePtr source, int line) {
  source_ = std::move(source);
  line_ = line;
}

void ConfigNode::set_key_origin(size_t index, SourcePtr source, int line) {
  Key& key = keys_.at(index);
  key.source = std::move(source);
  key.line = line;
}

bool operator==(const ConfigNode& a, const ConfigNode& b) {
  if (a.kind_ != b.kind_) return false;
  if (a.kind_ == ConfigNode::Kind::real && std::isnan(a.real()) && std::isnan(b.real())) return true;
  return a.scalar_ == b.scalar_ && a.items_ == b.items_ &&
         std::ranges::equal(a.keys_, b.keys_, {}, &ConfigNode::Key::name, &ConfigNode::Key::name);
}

}  // namespace ft
