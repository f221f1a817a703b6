#include <algorithm>
#include <cctype>
#include <cmath>

#include "engine/config/yaml.h"

namespace ft {
namespace {

/// Words that YAML 1.1 readers take for booleans.
bool is_yaml11_word(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower == "y" || lower == "n" || lower == "yes" || lower == "no" || lower == "on" || lower == "off" ||
         lower == "true" || lower == "false" || lower == "null";
}

/// Text that every reader takes for text without quotes: [A-Za-z_/] [A-Za-z0-9_/.+-]*, and no special word.
bool is_safe_plain(std::string_view text) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '/';
  };
  const auto inner = [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '+' || c == '-';
  };
  return !text.empty() && letter(text[0]) && std::ranges::all_of(text, inner) && !is_yaml11_word(text);
}

std::string double_quoted(std::string_view text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (code < 0x20 || code == 0x7f) {
      out += fmt::format("\\x{:02x}", code);
    } else if (code == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) {
      out += fmt::format("\\x{:02x}",
                         static_cast<unsigned char>(text[++i]));  // C1 controls, among them a line end
    } else if (const auto special = text.substr(i, 3);
               special == "\xe2\x80\xa8" || special == "\xe2\x80\xa9" || special == "\xef\xbb\xbf") {
      out += special == "\xe2\x80\xa8" ? "\\u2028" : special == "\xe2\x80\xa9" ? "\\u2029" : "\\ufeff";
      i += 2;
    } else {
      out += c;
    }
  }
  return out + '"';
}

/// Shortest decimal that reads back to the same double, always with a point: YAML 1.1 takes 1e-05 for text.
std::string number(double value) {
  if (std::isnan(value)) return ".nan";
  if (std::isinf(value)) return value > 0 ? ".inf" : "-.inf";
  std::string text = fmt::format("{}", value);
  if (text.find('.') == std::string::npos) {
    const size_t exponent = text.find('e');
    text.insert(exponent == std::string::npos ? text.size() : exponent, ".0");
  }
  return text;
}

std::string scalar(const ConfigNode& node) {
  switch (node.kind()) {
    case ConfigNode::Kind::null:
      return "null";
    case ConfigNode::Kind::boolean:
      return node.boolean() ? "true" : "false";
    case ConfigNode::Kind::integer:
      return fmt::format("{}", node.integer());
    case ConfigNode::Kind::real:
      return number(node.real());
    case ConfigNode::Kind::string:
      return is_safe_plain(node.string()) ? node.string() : double_quoted(node.string());
    case ConfigNode::Kind::list:
      return "[]";
    case ConfigNode::Kind::map:
      return "{}";
  }
  return {};
}

bool fits_one_line(const ConfigNode& node) {
  if (node.size() == 0) return true;
  return node.is_list() &&
         std::ranges::all_of(node.items(), [](const ConfigNode& item) { return item.size() == 0; });
}

std::string one_line(const ConfigNode& node) {
  if (node.size() == 0) return scalar(node);
  std::string out = "[";
  for (size_t i = 0; i < node.size(); ++i) out += (i ? ", " : "") + scalar(node[i]);
  return out + "]";
}

/// The key with its colon. YAML lets a key without a question mark be 1024 characters long.
std::string map_key(const std::string& key, int indent) {
  const std::string text = scalar(key);
  if (text.size() < 1000) return text + ":";
  return "? " + text + "\n" + std::string(static_cast<size_t>(indent), ' ') + ":";
}

void write(const ConfigNode& node, int indent, std::string& out) {
  for (size_t i = 0; i < node.size(); ++i) {
    const ConfigNode& item = node[i];
    out.append(static_cast<size_t>(indent), ' ');
    out += node.is_map() ? map_key(node.key(i), indent) : "-";
    if (fits_one_line(item)) {
      out += " " + one_line(item) + "\n";
    } else {
      out += "\n";
      write(item, indent + 2, out);
    }
  }
}

}  // namespace

std::string to_yaml(const ConfigNode& node) {
  if (fits_one_line(node)) return one_line(node) + "\n";
  std::string out;
  write(node, 0, out);
  return out;
}

}  // namespace ft
