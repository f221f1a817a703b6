// From a ConfigNode to a typed value and back: the one place that knows which types configurations have.
//
// read(node, name, value, range) overwrites `value` or throws InputError "FILE:LINE: name: expected …, got
// …". write(value) is its inverse: read(write(x)) == x. Types: bool, integers, reals, text, paths,
// enumerations with an enum_names(), ConfigNode itself, and of these std::optional (null = not set),
// std::vector (a list) and std::vector<std::pair<std::string, T>> (a mapping in the order of writing).
#pragma once

#include <concepts>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/config/node.h"

namespace ft {

/// The values a number may take. For integers the bounds are compared as integers.
struct NumberRange {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false;  // low itself is excluded
  bool high_open = false;

  bool contains(double value) const {
    return (low_open ? value > low : value >= low) && (high_open ? value < high : value <= high);
  }
  /// " above 0 and at most 1"; empty for all numbers.
  std::string describe() const;
};
inline NumberRange at_least(double low) {
  return {.low = low};
}
inline NumberRange positive() {
  return {.low = 0, .low_open = true};
}
inline NumberRange between(double low, double high) {
  return {.low = low, .high = high};
}
/// [0, 1): what may be dropped, or decayed; 1 would leave nothing.
inline NumberRange probability() {
  return {.low = 0, .high = 1, .high_open = true};
}
/// (0, 1].
inline NumberRange share() {
  return {.low = 0, .high = 1, .low_open = true};
}

/// One spelling of an enumerator. An enumeration joins in with a constexpr function enum_names(E) in its own
/// namespace that returns a std::array of these.
template <class E>
struct EnumName {
  E value;
  std::string_view name;
};
template <class E>
concept NamedEnum = std::is_enum_v<E> && requires(E e) {
  enum_names(e);
};

template <NamedEnum E>
std::string_view name_of(E value) {
  for (const EnumName<E>& entry : enum_names(value)) {
    if (entry.value == value) return entry.name;
  }
  fail("[config] an enumerator without a name: {}", static_cast<long long>(value));
}

/// "FILE:LINE: name: expected EXPECTED, got …[; HINT]".
[[noreturn]] void bad_value(const ConfigNode& node, std::string_view name, std::string_view expected,
                            std::string_view hint = "");
int64_t read_integer(const ConfigNode& node, std::string_view name, int64_t low, int64_t high,
                     const NumberRange& range);
double read_real(const ConfigNode& node, std::string_view name, const NumberRange& range);
/// Index of the text among `names`; another text is an error that names the nearest.
size_t read_choice(const ConfigNode& node, std::string_view name, const std::vector<std::string>& names);

void read(const ConfigNode& node, std::string_view name, bool& value, const NumberRange& = {});
void read(const ConfigNode& node, std::string_view name, std::string& value, const NumberRange& = {});
/// A relative path starts from the folder of its source; the result is absolute, without "." and "..".
void read(const ConfigNode& node, std::string_view name, std::filesystem::path& value,
          const NumberRange& = {});
inline void read(const ConfigNode& node, std::string_view, ConfigNode& value, const NumberRange& = {}) {
  value = node;
}

template <std::integral T>
requires(!std::same_as<T, bool>) void read(const ConfigNode& node, std::string_view name, T& value,
                                           const NumberRange& range = {}) {
  constexpr auto kMax = std::numeric_limits<T>::max();
  constexpr int64_t high =
      std::in_range<int64_t>(kMax) ? static_cast<int64_t>(kMax) : std::numeric_limits<int64_t>::max();
  value = static_cast<T>(
      read_integer(node, name, static_cast<int64_t>(std::numeric_limits<T>::min()), high, range));
}

template <std::floating_point T>
void read(const ConfigNode& node, std::string_view name, T& value, const NumberRange& range = {}) {
  value = static_cast<T>(read_real(node, name, range));
}

template <NamedEnum E>
void read(const ConfigNode& node, std::string_view name, E& value, const NumberRange& = {}) {
  const auto entries = enum_names(E{});
  std::vector<std::string> names;
  for (const EnumName<E>& entry : entries) names.emplace_back(entry.name);
  value = entries[read_choice(node, name, names)].value;
}

template <class T>
void read(const ConfigNode& node, std::string_view name, std::optional<T>& value,
          const NumberRange& range = {}) {
  if (node.is_null()) {
    value.reset();
  } else {
    read(node, name, value.emplace(), range);
  }
}

template <class T>
void read(const ConfigNode& node, std::string_view name, std::vector<T>& value,
          const NumberRange& range = {}) {
  if (!node.is_list()) bad_value(node, name, "a list", node.is_null() ? "" : "write it as [a, b]");
  value.clear();
  for (size_t i = 0; i < node.size(); ++i) {
    T item{};
    read(node[i], fmt::format("{}[{}]", name, i), item, range);
    value.push_back(std::move(item));
  }
}

template <class T>
void read(const ConfigNode& node, std::string_view name, std::vector<std::pair<std::string, T>>& value,
          const NumberRange& range = {}) {
  if (!node.is_map()) bad_value(node, name, "a mapping");
  value.clear();
  for (size_t i = 0; i < node.size(); ++i) {
    T item{};
    read(node[i], fmt::format("{}.{}", name, node.key(i)), item, range);
    value.emplace_back(node.key(i), std::move(item));
  }
}

inline ConfigNode write(const ConfigNode& value) {
  return value;
}
inline ConfigNode write(const std::string& value) {
  return value;
}
inline ConfigNode write(const std::filesystem::path& value) {
  return value.string();
}
template <class T>
requires std::is_arithmetic_v<T> ConfigNode write(T value) {
  return value;
}
template <NamedEnum E>
ConfigNode write(E value) {
  return name_of(value);
}
template <class T>
ConfigNode write(const std::optional<T>& value) {
  return value ? write(*value) : ConfigNode();
}
template <class T>
ConfigNode write(const std::vector<T>& value) {
  ConfigNode node = ConfigNode::list();
  for (const T& item : value) node.append(write(item));
  return node;
}
template <class T>
ConfigNode write(const std::vector<std::pair<std::string, T>>& value) {
  ConfigNode node = ConfigNode::map();
  for (const auto& [key, item] : value) node.set(key, write(item));
  return node;
}

}  // namespace ft
