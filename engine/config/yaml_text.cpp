#include "engine/config/yaml_text.h"

namespace ft {
namespace {

/// Length of the well-formed UTF-8 character at text[i] (RFC 3629), 0 if there is none.
size_t utf8_length(std::string_view text, size_t i) {
  const auto byte = [&](size_t k) {
    return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0u;
  };
  const auto tail = [&](size_t k) { return (byte(k) & 0xc0u) == 0x80u; };
  const unsigned b = byte(0);
  if (b < 0x80) return 1;
  if (b >= 0xc2 && b <= 0xdf) return tail(1) ? 2 : 0;
  if (b >= 0xe0 && b <= 0xef) {
    const bool shortest = b != 0xe0 || byte(1) >= 0xa0;
    const bool surrogate = b == 0xed && byte(1) >= 0xa0;
    return tail(1) && tail(2) && shortest && !surrogate ? 3 : 0;
  }
  if (b < 0xf0 || b > 0xf4 || !tail(1) || !tail(2) || !tail(3)) return 0;
  return (b == 0xf0 && byte(1) < 0x90) || (b == 0xf4 && byte(1) > 0x8f) ? 0 : 4;
}

}  // namespace

void yaml_fault(const Source& source, int line, std::string_view message) {
  if (line > 0) bad_input("{}:{}: {}", source.name, line, message);
  bad_input("{}: {}", source.name, message);
}

void check_yaml_characters(std::string_view text, const Source& source, bool with_lines) {
  const auto fault = [&](int line, std::string_view message) {
    yaml_fault(source, with_lines ? line : 0, message);
  };
  int line = 1;
  for (size_t i = 0; i < text.size();) {
    const size_t length = utf8_length(text, i);
    if (length == 0) fault(line, "not UTF-8; save the file as UTF-8 text");
    const char c = text[i];
    const bool line_end = c == '\n' || (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n');
    const auto code = static_cast<unsigned char>(c);
    if ((code < 0x20 && !line_end && c != '\t') || c == 0x7f) {
      fault(line, fmt::format("the control character 0x{:02x} is not allowed in YAML", code));
    }
    line += c == '\n';
    i += length;
  }
}

}  // namespace ft
