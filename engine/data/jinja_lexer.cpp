#include "engine/data/jinja_lexer.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "engine/core/check.h"
#include "engine/data/tokenizer_utf8.h"
#include "engine/io/printable.h"

namespace ft::jinja {
namespace {

using Kind = Token::Kind;

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);
}

/// Line ends of all kinds as \n, and without the last one.
std::string one_kind_of_line_end(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    out += text[i] == '\r' ? '\n' : text[i];
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  Lexer(std::string_view source, std::string_view name)
      : source_(one_kind_of_line_end(source)), name_(name) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) root();
    push(Kind::end);
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(std::string_view what) const { bad_input("{}:{}: {}", name_, line_, what); }

  char peek(size_t ahead = 0) const { return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0'; }
  bool looking_at(std::string_view what) const { return source_.compare(at_, what.size(), what) == 0; }
  void advance(size_t bytes) {
    const auto begin = source_.begin() + static_cast<ptrdiff_t>(at_);
    line_ += static_cast<int>(std::count(begin, begin + static_cast<ptrdiff_t>(bytes), '\n'));
    at_ += bytes;
  }
  void skip_spaces() {
    while (is_space(peek())) advance(1);
  }
  void push(Kind kind, std::string content = {}) {
    tokens_.push_back({.kind = kind, .line = line_, .content = std::move(content)});
  }

  /// The text [at_, end) before a tag, its white space settled by the tag's sign.
  void data(size_t end, char sign, bool strips_indent) {
    std::string_view text = std::string_view(source_).substr(at_, end - at_);
    if (sign == '-') {
      while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    } else if (sign != '+' && strips_indent) {
      const size_t line_end = text.rfind('\n');
      const size_t begin = line_end == text.npos ? 0 : line_end + 1;
      const auto indent = text.substr(begin);
      if ((begin > 0 || starts_line_) && std::all_of(indent.begin(), indent.end(), is_space))
        text = text.substr(0, begin);
    }
    if (!text.empty()) push(Kind::data, std::string(text));
    advance(end - at_);
  }

  /// Behind a tag's closing bracket of `bytes` bytes, sign included.
  void close(char sign, size_t bytes, bool trims_line_end) {
    advance(bytes);
    if (sign == '-')
      skip_spaces();
    else if (sign != '+' && trims_line_end && peek() == '\n')
      advance(1);
    starts_line_ = at_ > 0 && source_[at_ - 1] == '\n';
  }

  void root() {
    size_t open = at_;
    while ((open = source_.find('{', open)) != std::string::npos) {
      const char c = open + 1 < source_.size() ? source_[open + 1] : '\0';
      if (c == '%' || c == '{' || c == '#') break;
      ++open;
    }
    if (open == std::string::npos) return data(source_.size(), '+', false);
    const char kind = source_[open + 1];
    const char sign = open + 2 < source_.size() ? source_[open + 2] : '\0';
    data(open, sign, kind != '{');
    const size_t opening = 2 + (sign == '-' || sign == '+');
    if (kind == '#') return comment(opening);
    if (kind == '%' && raw(opening)) return;
    const std::string_view closing = kind == '%' ? "%}" : "}}";
    push(kind == '%' ? Kind::open_block : Kind::open_output);
    advance(opening);
    while (!inside(closing, kind == '%')) {
    }
  }

  void comment(size_t opening) {
    const size_t end = source_.find("#}", at_ + opening);
    if (end == std::string::npos) fail("a comment {# is never closed");
    const char sign = end > at_ + opening ? source_[end - 1] : '\0';
    advance(end - at_);
    close(sign, 2, true);
  }

  /// {% raw %} … {% endraw %}: text as it stands.
  bool raw(size_t opening) {
    size_t i = at_ + opening;
    const auto word = [&](std::string_view w) {
      while (i < source_.size() && is_space(source_[i])) ++i;
      if (source_.compare(i, w.size(), w) != 0) return false;
      i += w.size();
      while (i < source_.size() && is_space(source_[i])) ++i;
      return true;
    };
    if (!word("raw")) return false;
    const bool strips = source_.compare(i, 3, "-%}") == 0;
    if (!strips && source_.compare(i, 2, "%}") != 0) return false;
    advance(i + (strips ? 3 : 2) - at_);
    if (strips) skip_spaces();
    for (size_t open = at_; (open = source_.find("{%", open)) != std::string::npos; open += 2) {
      i = open + 2;
      const char sign = i < source_.size() ? source_[i] : '\0';
      i += sign == '-' || sign == '+';
      if (!word("endraw")) continue;
      const char end_sign = i < source_.size() ? source_[i] : '\0';
      const size_t signs = end_sign == '-' || end_sign == '+';
      if (source_.compare(i + signs, 2, "%}") != 0) continue;
      data(open, sign, true);
      advance(i - at_);
      close(end_sign, signs + 2, true);
      return true;
    }
    fail("a {% raw %} is never closed by {% endraw %}");
  }

  /// One token of a tag; true behind its end.
  bool inside(std::string_view closing, bool block) {
    skip_spaces();
    if (at_ >= source_.size()) fail(block ? "a block {% is never closed" : "an output {{ is never closed");
    if (brackets_.empty()) {
      const bool sign = peek() == '-' || (block && peek() == '+');
      if (source_.compare(at_ + sign, 2, closing) == 0) {
        push(block ? Kind::close_block : Kind::close_output);
        close(sign ? peek() : '\0', 2 + sign, block);
        return true;
      }
    }
    const char c = peek();
    if (is_letter(c)) return name(), false;
    if (is_digit(c)) return number(), false;
    if (c == '\'' || c == '"') return text(), false;
    return op(), false;
  }

  void name() {
    size_t n = 0;
    while (is_letter(peek(n)) || is_digit(peek(n))) ++n;
    push(Kind::name, source_.substr(at_, n));
    advance(n);
  }

  void number() {
    size_t n = 0;
    std::string digits;
    const auto take = [&](auto&& is) {
      while (is(peek(n)) || (peek(n) == '_' && is(peek(n + 1)))) {
        if (peek(n) != '_') digits += peek(n);
        ++n;
      }
    };
    take(is_digit);
    bool real = false;
    if (peek(n) == '.' && is_digit(peek(n + 1))) {
      real = true;
      digits += '.';
      ++n;
      take(is_digit);
    }
    const size_t sign = peek(n + 1) == '+' || peek(n + 1) == '-';
    if ((peek(n) == 'e' || peek(n) == 'E') && is_digit(peek(n + 1 + sign))) {
      real = true;
      digits += 'e';
      if (sign) digits += peek(n + 1);
      n += 1 + sign;
      take(is_digit);
    }
    Token token{.kind = real ? Kind::real : Kind::integer, .line = line_, .content = digits};
    const char* end = digits.data() + digits.size();
    const auto result = real ? std::from_chars(digits.data(), end, token.number)
                             : std::from_chars(digits.data(), end, token.whole);
    if (result.ec != std::errc() || result.ptr != end || is_letter(peek(n)))
      fail(fmt::format("'{}' is not a number that is supported", printable(source_.substr(at_, n + 1), 40)));
    tokens_.push_back(std::move(token));
    advance(n);
  }

  void text() {
    const char quote = peek();
    std::string content;
    size_t i = at_ + 1;
    for (; i < source_.size() && source_[i] != quote; ++i) {
      if (source_[i] != '\\')
        content += source_[i];
      else
        i = escape(i + 1, content);
    }
    if (i >= source_.size()) fail("a text in quotes is never closed");
    push(Kind::text, std::move(content));
    advance(i + 1 - at_);
  }

  /// Resolves the escape whose letter is at `i`, as Python's string literals do; returns its last place.
  size_t escape(size_t i, std::string& out) {
    if (i >= source_.size()) return i;
    constexpr std::string_view letters = "abfnrtv\\'\"", meant = "\a\b\f\n\r\t\v\\'\"";
    if (const size_t k = letters.find(source_[i]); k != letters.npos) {
      out += meant[k];
      return i;
    }
    if (source_[i] == '\n') return i;
    const size_t digits = source_[i] == 'x' ? 2 : source_[i] == 'u' ? 4 : source_[i] == 'U' ? 8 : 0;
    uint32_t code = 0;
    if (digits > 0) {
      const char* begin = source_.data() + i + 1;
      const char* end = begin + std::min(digits, source_.size() - i - 1);
      const auto result = std::from_chars(begin, end, code, 16);
      if (result.ptr != begin + digits || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        fail("an escape \\x, \\u or \\U is not a character's code");
      append_utf8(out, code);
      return i + digits;
    }
    if (source_[i] >= '0' && source_[i] <= '7') {
      size_t n = 0;
      for (; n < 3 && i + n < source_.size() && source_[i + n] >= '0' && source_[i + n] <= '7'; ++n)
        code = code * 8 + static_cast<uint32_t>(source_[i + n] - '0');
      append_utf8(out, code);
      return i + n - 1;
    }
    if (source_[i] == 'N') fail("the escape \\N{…} is not supported");
    out += '\\';  // an unknown escape stands for itself
    out += source_[i];
    return i;
  }

  void op() {
    constexpr std::array<std::string_view, 25> kOps = {"==", "!=", ">=", "<=", "//", "**", "+", "-", "/",
                                                       "*",  "%",  "~",  ">",  "<",  "=",  ".", ":", "|",
                                                       ",",  "(",  ")",  "[",  "]",  "{",  "}"};
    const auto found = std::find_if(kOps.begin(), kOps.end(), [&](auto o) { return looking_at(o); });
    if (found == kOps.end())
      fail(fmt::format("the character '{}' has no meaning here", printable(source_.substr(at_, 1), 8)));
    const char c = (*found)[0];
    if (c == '(' || c == '[' || c == '{') brackets_ += c == '(' ? ')' : c == '[' ? ']' : '}';
    if (c == ')' || c == ']' || c == '}') {
      if (brackets_.empty() || brackets_.back() != c) fail(fmt::format("'{}' closes nothing", c));
      brackets_.pop_back();
    }
    push(Kind::op, std::string(*found));
    advance(found->size());
  }

  std::string source_;
  std::string_view name_;
  std::vector<Token> tokens_;
  std::string brackets_;  // those that are open, as what closes them
  size_t at_ = 0;
  int line_ = 1;
  bool starts_line_ = true;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source, std::string_view name) {
  return Lexer(source, name).run();
}

}  // namespace ft::jinja
