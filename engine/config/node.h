// One configuration as a small ordered tree, whether it came from YAML, JSON, --set or code.
//
// Invariant: a node holds one of seven kinds of value, and knows the source and the line it was written on,
// so that every later complaint can name the place. Map keys are unique texts in the order of writing. Trees
// that readers build are bounded (kMaxConfigDepth, kMaxConfigNodes); copying a node copies its subtree.
#pragma once

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "engine/core/check.h"

namespace ft {

/// Deepest nesting that readers accept: no configuration needs it, and recursion over a tree stays harmless.
constexpr int kMaxConfigDepth = 64;
/// Most nodes of one tree, aliases expanded.
constexpr size_t kMaxConfigNodes = 100'000;
/// Most keys of one mapping; looking a key up is a walk over them.
constexpr size_t kMaxConfigKeys = 4096;

/// Where nodes were written; shared by all nodes of one file.
struct Source {
  std::string name;  // as the user knows it: "exp.yaml", "--set training.seed=1"
  std::filesystem::path
      base;  // absolute folder from which its relative paths start; empty: the working folder
};
using SourcePtr = std::shared_ptr<const Source>;

class ConfigNode {
 public:
  enum class Kind : uint8_t { null, boolean, integer, real, string, list, map };

  ConfigNode() = default;  // null
  ConfigNode(std::same_as<bool> auto value) : kind_(Kind::boolean), scalar_(value) {}
  template <std::integral T>
  requires(!std::same_as<T, bool>) ConfigNode(T value)
      : kind_(Kind::integer), scalar_(static_cast<int64_t>(value)) {
    FT_CHECK(std::in_range<int64_t>(value), "[config] expected an integer of 64 bits with sign, got {}",
             value);
  }
  ConfigNode(std::floating_point auto value) : kind_(Kind::real), scalar_(static_cast<double>(value)) {}
  ConfigNode(std::string value) : kind_(Kind::string), scalar_(std::move(value)) {}
  ConfigNode(std::string_view value) : ConfigNode(std::string(value)) {}
  ConfigNode(const char* value) : ConfigNode(std::string(value)) {}
  static ConfigNode list(std::vector<ConfigNode> items = {});
  static ConfigNode map();

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::null; }
  bool is_list() const { return kind_ == Kind::list; }
  bool is_map() const { return kind_ == Kind::map; }
  bool is_string() const { return kind_ == Kind::string; }

  /// The value; asking for another kind than the node's is a fault of the program.
  bool boolean() const { return scalar<bool>(Kind::boolean); }
  int64_t integer() const { return scalar<int64_t>(Kind::integer); }
  double real() const { return scalar<double>(Kind::real); }
  const std::string& string() const { return scalar<std::string>(Kind::string); }

  /// Items of a list, or values of a map in the order of its keys; empty for scalars.
  const std::vector<ConfigNode>& items() const { return items_; }
  size_t size() const { return items_.size(); }
  const ConfigNode& operator[](size_t index) const { return items_.at(index); }
  ConfigNode& operator[](size_t index) { return items_.at(index); }
  /// Key of items()[index]; the node must be a map.
  const std::string& key(size_t index) const { return keys_.at(index).name; }
  /// The value of `key`; null pointer where the map (or what is no map) has none.
  const ConfigNode* find(std::string_view key) const;
  ConfigNode* find(std::string_view key);

  /// Sets `key`, in place if the map has it, else at the end. A null node becomes a map.
  ConfigNode& set(std::string_view key, ConfigNode value);
  /// Removes `key`; false if there is none.
  bool erase(std::string_view key);
  /// Adds to a list's end. A null node becomes a list.
  ConfigNode& append(ConfigNode value);

  /// "exp.yaml:14"; without the line where the source has none; "configuration" for a node made by code.
  std::string where() const;
  std::string key_where(size_t index) const;
  /// What stands here, for "expected …, got …": "the text 'abc'", "the number 3", "a list of 2".
  std::string describe() const;

  /// `line` counts from 1; 0: the source has no lines. Readers only.
  void set_origin(SourcePtr source, int line);
  void set_key_origin(size_t index, SourcePtr source, int line);
  const SourcePtr& source() const { return source_; }
  int line() const { return line_; }

  /// Equal kinds and values (NaN equals NaN); where they were written does not matter.
  friend bool operator==(const ConfigNode& a, const ConfigNode& b);

 private:
  struct Key {
    std::string name;
    int line = 0;
    SourcePtr source;  // the value's own source may differ: --set replaces values
  };

  template <class T>
  const T& scalar(Kind kind) const {
    FT_CHECK(kind_ == kind, "[config] {}: a value of another kind than asked for: {}", where(), describe());
    return std::get<T>(scalar_);
  }

  Kind kind_ = Kind::null;
  int line_ = 0;
  std::variant<std::monostate, bool, int64_t, double, std::string> scalar_;
  std::vector<Key> keys_;  // maps only, parallel to items_
  std::vector<ConfigNode> items_;
  SourcePtr source_;
};

}  // namespace ft
