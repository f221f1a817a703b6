#include "engine/data/tokenizer_utf8.h"

#include <utf8proc.h>

#include <array>

namespace ft {

Utf8Unit next_utf8(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {Utf8Unit::character, 1, lead};
  // The second byte's range is narrower after some leads: no overlong forms, surrogates or codes past
  // U+10FFFF.
  uint8_t low = 0x80, high = 0xBF;
  int more = 0;
  char32_t code = 0;
  if (lead >= 0xC2 && lead <= 0xDF) {
    more = 1, code = lead & 0x1F;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    more = 2, code = lead & 0x0F;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    more = 3, code = lead & 0x07;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {Utf8Unit::malformed, 1, 0};
  }
  for (int i = 1; i <= more; ++i) {
    const auto bytes = static_cast<uint8_t>(i);
    if (bytes >= text.size()) return {Utf8Unit::cut, bytes, 0};
    const uint8_t b = byte(bytes);
    if (b < low || b > high) return {Utf8Unit::malformed, bytes, 0};
    code = (code << 6) | (b & 0x3F);
    low = 0x80, high = 0xBF;
  }
  return {Utf8Unit::character, static_cast<uint8_t>(more + 1), code};
}

Utf8Unit last_utf8(std::string_view text) {
  size_t start = text.size() - 1;
  while (start > 0 && (static_cast<uint8_t>(text[start]) & 0xC0) == 0x80) --start;
  return next_utf8(text.substr(start));
}

size_t valid_utf8_prefix(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    if (static_cast<uint8_t>(text[at]) < 0x80) {
      ++at;
      continue;
    }
    const Utf8Unit unit = next_utf8(text.substr(at));
    if (unit.kind != Utf8Unit::character) break;
    at += unit.bytes;
  }
  return at;
}

void append_utf8(std::string& out, char32_t code) {
  const auto put = [&](uint32_t b) { out.push_back(static_cast<char>(b)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | (code >> 6)), put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | (code >> 12)), put(0x80 | ((code >> 6) & 0x3F)), put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | (code >> 18)), put(0x80 | ((code >> 12) & 0x3F)), put(0x80 | ((code >> 6) & 0x3F)),
        put(0x80 | (code & 0x3F));
  }
}

std::string to_valid_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const size_t good = valid_utf8_prefix(bytes);
    out.append(bytes.substr(0, good));
    bytes.remove_prefix(good);
    if (bytes.empty()) break;
    out.append(kReplacementCharacter);
    bytes.remove_prefix(next_utf8(bytes).bytes);
  }
  return out;
}

bool is_unicode_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool is_unicode_word(char32_t c) {
  const bool joiner = c == 0x200C || c == 0x200D;
  const bool circled_letter = c >= 0x24B6 && c <= 0x24E9;  // a symbol by category, alphabetic by property
  if (joiner || circled_letter) return true;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return false;
  }
}

namespace {

constexpr bool stands_for_itself(int b) {
  return (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE && b <= 0xFF);
}

struct ByteAlphabet {
  std::array<char32_t, 256> of_byte{};
  std::array<int16_t, 256 + 68> to_byte{};
  constexpr ByteAlphabet() {
    to_byte.fill(-1);
    char32_t next = 0x100;
    for (int b = 0; b < 256; ++b) {
      of_byte[b] = stands_for_itself(b) ? static_cast<char32_t>(b) : next++;
      to_byte[of_byte[b]] = static_cast<int16_t>(b);
    }
  }
};
constexpr ByteAlphabet kAlphabet;

}  // namespace

char32_t byte_to_char(uint8_t byte) {
  return kAlphabet.of_byte[byte];
}

std::optional<uint8_t> char_to_byte(char32_t code) {
  if (code >= kAlphabet.to_byte.size() || kAlphabet.to_byte[code] < 0) return std::nullopt;
  return static_cast<uint8_t>(kAlphabet.to_byte[code]);
}

void append_byte_level(std::string& out, std::string_view bytes) {
  for (const char b : bytes) append_utf8(out, byte_to_char(static_cast<uint8_t>(b)));
}

std::optional<std::string> from_byte_level(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Utf8Unit unit = next_utf8(text);
    if (unit.kind != Utf8Unit::character) return std::nullopt;
    const auto byte = char_to_byte(unit.code);
    if (!byte) return std::nullopt;
    out.push_back(static_cast<char>(*byte));
    text.remove_prefix(unit.bytes);
  }
  return out;
}

}  // namespace ft
