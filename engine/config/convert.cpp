#include "engine/config/convert.h"

#include <cmath>

#include "engine/config/nearest.h"
#include "engine/config/yaml.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

/// A quoted number, or a spelling that other YAML versions take for a boolean.
std::string_view hint_for(const ConfigNode& node, bool number_wanted) {
  if (!node.is_string()) return "";
  const ConfigNode unquoted = plain_scalar(node.string());
  const bool number =
      unquoted.kind() == ConfigNode::Kind::integer || unquoted.kind() == ConfigNode::Kind::real;
  if (number_wanted) return number ? "remove the quotes" : "";
  if (unquoted.kind() == ConfigNode::Kind::boolean) return "remove the quotes";
  const std::string& text = node.string();
  for (std::string_view yes : {"yes", "Yes", "YES", "on", "On", "ON", "y", "Y"}) {
    if (text == yes) return "write true";
  }
  for (std::string_view no : {"no", "No", "NO", "off", "Off", "OFF", "n", "N"}) {
    if (text == no) return "write false";
  }
  return "";
}

}  // namespace

std::string NumberRange::describe() const {
  std::string out;
  if (low > -std::numeric_limits<double>::infinity()) {
    out = fmt::format("{} {}", low_open ? " above" : " of at least", low);
  }
  if (high < std::numeric_limits<double>::infinity()) {
    out += fmt::format("{} {} {}", out.empty() ? "" : " and", high_open ? "below" : "at most", high);
  }
  return out;
}

void bad_value(const ConfigNode& node, std::string_view name, std::string_view expected,
               std::string_view hint) {
  bad_input("{}: {}: expected {}, got {}{}{}", node.where(), printable(name), expected, node.describe(),
            hint.empty() ? "" : "; ", hint);
}

int64_t read_integer(const ConfigNode& node, std::string_view name, int64_t low, int64_t high,
                     const NumberRange& range) {
  constexpr double kTwo63 = 9223372036854775808.0;
  const std::string expected = "an integer" + range.describe();
  int64_t value = 0;
  if (node.kind() == ConfigNode::Kind::integer) {
    value = node.integer();
  } else if (node.kind() == ConfigNode::Kind::real && std::trunc(node.real()) == node.real() &&
             node.real() >= -kTwo63 && node.real() < kTwo63) {
    value = static_cast<int64_t>(node.real());  // 1e3 and 8.0 are integers to whoever writes them
  } else {
    bad_value(node, name, expected, hint_for(node, true));
  }
  if (!range.contains(static_cast<double>(value))) bad_value(node, name, expected);
  if (value < low || value > high) bad_value(node, name, fmt::format("an integer from {} to {}", low, high));
  return value;
}

double read_real(const ConfigNode& node, std::string_view name, const NumberRange& range) {
  const std::string expected = "a number" + range.describe();
  double value = 0;
  if (node.kind() == ConfigNode::Kind::integer) {
    value = static_cast<double>(node.integer());
  } else if (node.kind() == ConfigNode::Kind::real) {
    value = node.real();
  } else {
    bad_value(node, name, expected, hint_for(node, true));
  }
  if (!std::isfinite(value)) bad_value(node, name, "a finite number" + range.describe());
  if (!range.contains(value)) bad_value(node, name, expected);
  return value;
}

size_t read_choice(const ConfigNode& node, std::string_view name, const std::vector<std::string>& names) {
  std::string hint;
  if (node.is_string()) {
    for (size_t i = 0; i < names.size(); ++i) {
      if (names[i] == node.string()) return i;
    }
    if (const auto near = nearest(node.string(), names)) hint = fmt::format("did you mean '{}'?", *near);
  }
  bad_value(node, name, fmt::format("{}{}", names.size() == 1 ? "" : "one of ", fmt::join(names, ", ")),
            hint);
}

void read(const ConfigNode& node, std::string_view name, bool& value, const NumberRange&) {
  if (node.kind() != ConfigNode::Kind::boolean) bad_value(node, name, "true or false", hint_for(node, false));
  value = node.boolean();
}

void read(const ConfigNode& node, std::string_view name, std::string& value, const NumberRange&) {
  if (!node.is_string()) {
    const bool scalar = !node.is_null() && !node.is_list() && !node.is_map();
    bad_value(node, name, "a text", scalar ? "put it in quotes" : "");
  }
  value = node.string();
}

void read(const ConfigNode& node, std::string_view name, std::filesystem::path& value, const NumberRange&) {
  std::string text;
  read(node, name, text);
  if (text.empty() || text.find('\0') != std::string::npos) bad_value(node, name, "a path");
  const std::filesystem::path base = node.source() ? node.source()->base : std::filesystem::path();
  std::error_code error;
  value = std::filesystem::absolute(base / text, error).lexically_normal();
  if (!value.has_filename() && value.has_relative_path()) value = value.parent_path();  // "runs/" is "runs"
}

}  // namespace ft
