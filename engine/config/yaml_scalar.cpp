// The types of unquoted YAML scalars: the core schema of YAML 1.2 (section 10.3.2), by a hand-written
// grammar.
#include <charconv>
#include <limits>

#include "engine/config/yaml.h"

namespace ft {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

size_t skip_digits(std::string_view text, size_t i) {
  while (i < text.size() && is_digit(text[i])) ++i;
  return i;
}

/// [0-9]+, after the sign.
bool is_integer(std::string_view text) {
  return !text.empty() && skip_digits(text, 0) == text.size();
}

/// ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?, after the sign.
bool is_real(std::string_view text) {
  size_t i = skip_digits(text, 0);
  const bool whole = i > 0;
  if (i < text.size() && text[i] == '.') {
    const size_t end = skip_digits(text, i + 1);
    if (!whole && end == i + 1) return false;
    i = end;
  } else if (!whole) {
    return false;
  }
  if (i == text.size()) return true;
  if (text[i] != 'e' && text[i] != 'E') return false;
  ++i;
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
  return i < text.size() && skip_digits(text, i) == text.size();
}

template <class T, class... Format>
bool parse(std::string_view text, T& value, Format... format) {
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value, format...);
  return result.ec == std::errc() && result.ptr == end;
}

}  // namespace

ConfigNode plain_scalar(std::string_view text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return {};
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;

  const bool negative = text[0] == '-';
  const std::string_view body = negative || text[0] == '+' ? text.substr(1) : text;
  int64_t integer = 0;
  double real = 0;
  if (is_integer(body) && parse(negative ? text : body, integer)) return integer;
  if (text.starts_with("0x") && parse(text.substr(2), integer, 16) && integer >= 0 && text[2] != '-')
    return integer;
  if (text.starts_with("0o") && parse(text.substr(2), integer, 8) && integer >= 0 && text[2] != '-')
    return integer;
  // A number that no double can hold (1e999) stays text: an error that shows it beats a silent infinity.
  if (is_real(body) && parse(body, real)) return negative ? -real : real;
  if (body == ".inf" || body == ".Inf" || body == ".INF") {
    const double infinity = std::numeric_limits<double>::infinity();
    return negative ? -infinity : infinity;
  }
  if (text == ".nan" || text == ".NaN" || text == ".NAN") return std::numeric_limits<double>::quiet_NaN();
  return text;
}

}  // namespace ft
