#include "engine/data/tokenizer_unicode.h"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include "engine/core/check.h"
#include "engine/data/tokenizer_utf8.h"

namespace ft {
namespace {

/// Starters that the form leaves as they are and that compose with nothing before them. Not complete: it is
/// there for speed, and covers ASCII, Chinese and, where only canonical equivalents count, their punctuation.
bool is_inert(char32_t c, bool canonical) {
  if (c < 0xA0 || (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3008 && c <= 0x3011) || c == 0x3001 ||
      c == 0x3002) {
    return true;
  }
  return canonical &&
         ((c >= 0x2010 && c <= 0x2027) || (c >= 0x2030 && c <= 0x205E) || (c >= 0xFF01 && c <= 0xFFEE));
}

int options_of(UnicodeForm form) {
  switch (form) {
    case UnicodeForm::nfc:
      return UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    case UnicodeForm::nfd:
      return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
    case UnicodeForm::nfkc:
      return UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT;
    case UnicodeForm::nfkd:
      break;
  }
  return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT;
}

void append_form(std::string_view text, UnicodeForm form, std::string& out) {
  utf8proc_uint8_t* mapped = nullptr;
  const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                 static_cast<utf8proc_ssize_t>(text.size()), &mapped,
                                 static_cast<utf8proc_option_t>(options_of(form)));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  if (size < 0) fail("[normalize] {}", utf8proc_errmsg(size));
  out.append(reinterpret_cast<const char*>(mapped), static_cast<size_t>(size));
}

utf8proc_category_t category(char32_t code) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code));
}

}  // namespace

bool append_normal_form(std::string_view text, UnicodeForm form, std::string& out) {
  const bool canonical = form == UnicodeForm::nfc || form == UnicodeForm::nfd;
  size_t kept = 0;      // text[0, kept) has been appended
  size_t previous = 0;  // where the character before text[at] begins
  for (size_t at = 0; at < text.size();) {
    const Utf8Unit unit = next_utf8(text.substr(at));
    if (is_inert(unit.code, canonical)) {
      previous = at;
      at += unit.bytes;
      continue;
    }
    // What may change goes on to the next inert character, and begins with the one that marks may join.
    size_t end = at + unit.bytes;
    while (end < text.size()) {
      const Utf8Unit next = next_utf8(text.substr(end));
      if (is_inert(next.code, canonical)) break;
      end += next.bytes;
    }
    out.append(text, kept, previous - kept);
    append_form(text.substr(previous, end - previous), form, out);
    kept = previous = at = end;
  }
  if (kept == 0) return false;
  out.append(text, kept);
  return true;
}

char32_t lower_case(char32_t code, char32_t& more) {
  more = code == 0x130 ? 0x307 : 0;
  if (code < 0x80) return code >= 'A' && code <= 'Z' ? code + 32 : code;
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code)));
}

bool is_mark(char32_t code) {
  const auto c = category(code);
  return c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_MC || c == UTF8PROC_CATEGORY_ME;
}

bool is_nonspacing_mark(char32_t code) {
  return category(code) == UTF8PROC_CATEGORY_MN;
}

bool is_punctuation(char32_t code) {
  const auto c = category(code);
  return c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_PO;
}

bool is_word_character(char32_t code) {
  const auto c = category(code);
  return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_NO;
}

bool is_control_or_format(char32_t code) {
  const auto c = category(code);
  return c == UTF8PROC_CATEGORY_CC || c == UTF8PROC_CATEGORY_CF || c == UTF8PROC_CATEGORY_CO;
}

bool is_bert_ideograph(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

}  // namespace ft
