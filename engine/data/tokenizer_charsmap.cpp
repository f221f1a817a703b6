#include "engine/data/tokenizer_charsmap.h"

#include <utf8proc.h>

#include <cstring>

#include "engine/core/check.h"
#include "engine/data/tokenizer_utf8.h"

namespace ft {
namespace {

// A unit of a darts-clone double array.
bool is_value(uint32_t unit) {
  return unit >> 31;
}
uint32_t label(uint32_t unit) {
  return unit & 0x800000FFu;
}
uint32_t offset(uint32_t unit) {
  return (unit >> 10) << ((unit & 0x200u) >> 6);
}
bool has_value(uint32_t unit) {
  return (unit >> 8) & 1;
}

constexpr size_t kMaxGraphemeBytes = 5;
// The longest of Unicode's own is 33 bytes; a map may not make a text grow without bound.
constexpr size_t kMaxReplacement = 256;

}  // namespace

Charsmap::Charsmap(std::string_view blob, const std::string& source) {
  const auto broken = [&](std::string_view what) {
    bad_input("{}: the precompiled character map is broken: {}", source, what);
  };
  uint32_t bytes = 0;
  if (blob.size() < sizeof bytes) broken("it is too short");
  std::memcpy(&bytes, blob.data(), sizeof bytes);
  blob.remove_prefix(sizeof bytes);
  if (bytes > blob.size() || bytes % sizeof(uint32_t) != 0 || bytes == 0) broken("the size of its trie");
  units_.resize(bytes / sizeof(uint32_t));
  std::memcpy(units_.data(), blob.data(), bytes);
  replacements_ = blob.substr(bytes);
  if (replacements_.empty() || replacements_.back() != '\0') broken("its last replacement has no end");
  if (!is_valid_utf8(replacements_)) broken("a replacement is not UTF-8");
  for (size_t at = 0; at < replacements_.size();) {
    const size_t end = replacements_.find('\0', at);
    if (end - at > kMaxReplacement) broken("a replacement is too long");
    at = end + 1;
  }
  if (is_value(units_[0])) broken("its trie leads nowhere");  // a walk follows the root whatever it holds
  for (uint32_t at = 0; at < units_.size(); ++at) {
    const uint32_t unit = units_[at];
    if (is_value(unit)) continue;  // nothing follows it: no byte is its label
    const uint32_t next = at ^ offset(unit);
    if ((next | 0xFFu) >= units_.size()) broken("its trie leads out of itself");
    if (!has_value(unit)) continue;
    const uint32_t value = units_[next] & 0x7FFFFFFFu;
    if (value >= replacements_.size()) broken("its trie names a replacement that is not there");
    if ((static_cast<uint8_t>(replacements_[value]) & 0xC0) == 0x80) broken("a replacement is not UTF-8");
  }
}

std::optional<std::string_view> Charsmap::find(std::string_view text) const {
  uint32_t at = offset(units_[0]);
  for (const char c : text) {
    at ^= static_cast<uint8_t>(c);
    const uint32_t unit = units_[at];
    if (label(unit) != static_cast<uint8_t>(c)) return std::nullopt;
    at ^= offset(unit);
    if (has_value(unit)) return std::string_view(replacements_.data() + (units_[at] & 0x7FFFFFFFu));
  }
  return std::nullopt;
}

void Charsmap::append_grapheme(std::string_view grapheme, std::string& out) const {
  if (grapheme.size() <= kMaxGraphemeBytes) {
    if (const auto replacement = find(grapheme)) {
      out += *replacement;
      return;
    }
  }
  while (!grapheme.empty()) {
    const std::string_view character = grapheme.substr(0, next_utf8(grapheme).bytes);
    out += find(character).value_or(character);
    grapheme.remove_prefix(character.size());
  }
}

void Charsmap::append_normal(std::string_view text, std::string& out) const {
  size_t begin = 0, at = 0;
  utf8proc_int32_t state = 0, before = 0;
  while (at < text.size()) {
    const Utf8Unit unit = next_utf8(text.substr(at));
    const auto code = static_cast<utf8proc_int32_t>(unit.code);
    if (at > 0 && utf8proc_grapheme_break_stateful(before, code, &state)) {
      append_grapheme(text.substr(begin, at - begin), out);
      begin = at;
    }
    before = code;
    at += unit.bytes;
  }
  if (begin < at) append_grapheme(text.substr(begin), out);
}

}  // namespace ft
