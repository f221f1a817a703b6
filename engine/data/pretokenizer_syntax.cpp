// Oniguruma's regular expression syntax, rewritten for PCRE2 with UTF + UCP.
//
// What differs and is rewritten: nested classes ([^a[bc]]) are flattened; \s is exactly White_Space (PCRE2
// adds U+180E); \w is Oniguruma's set; \v is one character; \uXXXX; \p{Han} is the script alone (PCRE2 adds
// what other scripts share with it). What has no exact counterpart here is refused by name.
#include <cctype>
#include <cstdlib>

#include "engine/core/check.h"
#include "engine/data/pretokenizer_regex.h"
#include "engine/data/tokenizer_utf8.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

// The inside of a class.
constexpr std::string_view kSpace =
    "\\x09-\\x0d\\x20\\x85\\xa0\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}";
constexpr std::string_view kNotSpace =
    "\\x00-\\x08\\x0e-\\x1f\\x21-\\x84\\x86-\\x9f\\xa1-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}"
    "\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{10ffff}";
constexpr std::string_view kWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
// \w on its own also takes Latin-1's superscripts and fractions in Oniguruma; in a class it does not.
constexpr std::string_view kWordAlone = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\xb2\\xb3\\xb9\\xbc-\\xbe";

class Translator {
 public:
  Translator(std::string_view pattern, std::string_view source) : pattern_(pattern), source_(source) {
    if (!is_valid_utf8(pattern)) bad_input("{}: the pre-tokenizer's pattern is not UTF-8", source);
  }

  std::string run() {
    while (at_ < pattern_.size()) {
      const char c = pattern_[at_];
      if (c == '\\') {
        escape_outside();
      } else if (c == '[') {
        ++at_;
        bool negated = false;
        const std::string inside = char_class(negated, 0);
        out_ += fmt::format("[{}{}]", negated ? "^" : "", inside);
      } else if (c == '(') {
        group_start();
      } else if (c == '{') {
        counted_repeat();
      } else {
        out_ += c;
        ++at_;
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    bad_input("{}: the pre-tokenizer's pattern \"{}\" uses {}, which is not supported", source_,
              printable(pattern_), printable(what));
  }
  bool more() const { return at_ < pattern_.size(); }
  char peek(size_t ahead = 0) const { return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0'; }

  /// A class escape at `at_` as the inside of a class; empty if the escape is a single character.
  std::string set_escape() {
    const char kind = peek(1);
    switch (kind) {
      case 's':
        at_ += 2;
        return std::string(kSpace);
      case 'S':
        at_ += 2;
        return std::string(kNotSpace);
      case 'w':
        at_ += 2;
        return std::string(kWord);
      case 'd':
        at_ += 2;
        return "\\p{Nd}";
      case 'D':
        at_ += 2;
        return "\\P{Nd}";
      case 'p':
      case 'P': {
        const size_t close = pattern_.find('}', at_);
        if (peek(2) != '{' || close == std::string_view::npos) refuse("\\p without {…}");
        std::string_view name = pattern_.substr(at_ + 3, close - at_ - 3);
        std::string property(pattern_.substr(at_, 3));
        if (name.starts_with('^')) property += '^', name.remove_prefix(1);
        const bool script = name.size() > 2 && name != "Any" && name != "Alphabetic";
        property.append(script ? "sc:" : "").append(name).append("}");
        at_ = close + 1;
        return property;
      }
      default:
        return {};
    }
  }

  /// One character at `at_`, plain or escaped.
  char32_t single_char() {
    if (peek() != '\\') {
      const Utf8Unit unit = next_utf8(pattern_.substr(at_));
      at_ += unit.bytes;
      return unit.code;
    }
    if (at_ + 1 == pattern_.size()) refuse("a lone backslash at its end");
    const char kind = peek(1);
    switch (kind) {
      case 'n':
        at_ += 2;
        return '\n';
      case 'r':
        at_ += 2;
        return '\r';
      case 't':
        at_ += 2;
        return '\t';
      case 'f':
        at_ += 2;
        return '\f';
      case 'v':
        at_ += 2;
        return '\v';
      case 'x':
        return hex_escape(2);
      case 'u':
        return hex_escape(4);
      default:
        break;
    }
    if (std::isalnum(static_cast<unsigned char>(kind))) refuse(fmt::format("\\{}", kind));
    ++at_;
    const Utf8Unit unit = next_utf8(pattern_.substr(at_));
    at_ += unit.bytes;
    return unit.code;
  }

  /// \xH, \xHH, \x{H…} (digits = 2) or \uHHHH (digits = 4).
  char32_t hex_escape(size_t digits) {
    at_ += 2;
    const bool braces = digits == 2 && peek() == '{';
    if (braces) ++at_;
    uint32_t code = 0;
    size_t seen = 0;
    for (; seen < (braces ? 6 : digits) && std::isxdigit(static_cast<unsigned char>(peek())); ++seen, ++at_) {
      const int c = std::tolower(static_cast<unsigned char>(peek()));
      code = code * 16 + static_cast<uint32_t>(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    if (seen == 0 || (digits == 4 && seen != 4) || (braces && peek() != '}')) refuse("a broken \\x or \\u");
    if (braces) ++at_;
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) refuse("a \\x or \\u that is no character");
    return code;
  }

  static std::string literal(char32_t code) {
    if (code < 0x80 && std::isalnum(static_cast<int>(code))) return std::string(1, static_cast<char>(code));
    return fmt::format("\\x{{{:x}}}", static_cast<uint32_t>(code));
  }

  void escape_outside() {
    const char kind = peek(1);
    if (kind == 'A' || kind == 'z' || kind == 'Z') {
      out_ += pattern_.substr(at_, 2);
      at_ += 2;
    } else if (kind == 'w') {
      out_ += fmt::format("[{}]", kWordAlone);
      at_ += 2;
    } else if (kind == 'W') {
      out_ += fmt::format("[^{}]", kWordAlone);
      at_ += 2;
    } else if (const std::string set = set_escape(); !set.empty()) {
      out_ += fmt::format("[{}]", set);
    } else {
      out_ += literal(single_char());
    }
  }

  /// The inside of a class whose '[' was read; reads its ']'.
  std::string char_class(bool& negated, int depth) {
    if (depth > 8) refuse("classes nested too deeply");
    if (peek() == '^') negated = true, ++at_;
    std::string inside;
    for (bool first = true;; first = false) {
      if (!more()) refuse("a class without ']'");
      if (peek() == ']' && !first) break;
      if (peek() == '&' && peek(1) == '&') refuse("an intersection of classes (&&)");
      if (peek() == '[') {
        if (peek(1) == ':') refuse("[:posix:] classes");
        ++at_;
        bool inner_negated = false;
        inside += char_class(inner_negated, depth + 1);
        if (inner_negated) refuse("a negated class within a class");
        continue;
      }
      if (peek() == '\\') {
        const std::string set = set_escape();
        if (!set.empty()) {
          inside += set;
          continue;
        }
      }
      inside += literal(single_char());
      const bool range = peek() == '-' && peek(1) != ']' && peek(1) != '[' && at_ + 1 < pattern_.size();
      if (range) {
        ++at_;
        inside += '-' + literal(single_char());
      }
    }
    ++at_;
    return inside;
  }

  void group_start() {
    if (peek(1) != '?') {
      // Captures are of no use to a tokenizer, and cost.
      out_ += peek(1) == '*' ? "(?:\\" : "(?:";
      ++at_;
      return;
    }
    for (const std::string_view known : {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:"}) {
      if (pattern_.substr(at_).starts_with(known)) {
        out_ += known;
        at_ += known.size();
        return;
      }
    }
    if (at_ == 0 && pattern_.starts_with("(?i)")) {
      out_ += "(?i)";
      at_ += 4;
      return;
    }
    refuse(fmt::format("the group {}", pattern_.substr(at_, 4)));
  }

  /// {n}, {n,} or {n,m}; with a '+' behind it the two engines would disagree.
  void counted_repeat() {
    const size_t close = pattern_.find('}', at_);
    if (close == std::string_view::npos) refuse("a '{' without '}'");
    const std::string_view count = pattern_.substr(at_ + 1, close - at_ - 1);
    bool digits = !count.empty() && std::isdigit(static_cast<unsigned char>(count[0]));
    for (const char c : count) digits = digits && (std::isdigit(static_cast<unsigned char>(c)) || c == ',');
    if (!digits) refuse(fmt::format("{{{}}}", count));
    out_ += pattern_.substr(at_, close + 1 - at_);
    at_ = close + 1;
    if (peek() == '+') refuse("a '+' after a counted repeat");
  }

  std::string_view pattern_;
  std::string_view source_;
  size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string to_pcre2_syntax(std::string_view pattern, std::string_view source) {
  return Translator(pattern, source).run();
}

std::string escape_regex(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (static_cast<uint8_t>(c) < 0x80 && !std::isalnum(static_cast<unsigned char>(c))) out += '\\';
    out += c;
  }
  return out;
}

}  // namespace ft
