// The grammar shared by module level and function bodies: a cursor over tokens, variables, operands.
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/sim/ptx.h"

namespace ft::sim::ptx {

class Cursor {
 public:
  Cursor(std::string_view text, uint32_t first_line) : tokens_(tokenize(text, first_line)) {}

  const Token& peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  const Token& next() {
    if (at_end()) error("more text");
    return tokens_[at_++];
  }
  void back() {
    if (at_ > 0) --at_;
  }
  /// Where the token before the cursor begins in the text.
  const char* before() const { return tokens_[at_ > 0 ? at_ - 1 : 0].text.data(); }
  bool at_end() const { return peek().kind == TokenKind::end; }
  bool is(std::string_view text) const { return peek().kind != TokenKind::string && peek().text == text; }
  bool accept(std::string_view text);
  void expect(std::string_view text);
  std::string_view word();
  /// Integer literal with an optional minus sign.
  uint64_t integer();
  /// Skips to the token after the matching closing brace; the cursor stands after the opening one.
  void skip_braces();
  [[noreturn]] void error(std::string_view expected) const;

 private:
  std::vector<Token> tokens_;
  size_t at_ = 0;
};

/// A declaration from its space directive to before ';' or ','; handles .align, .ptr, arrays, initialisers.
Variable parse_variable(Cursor& cursor, bool external);
Operand parse_operand(Cursor& cursor);
/// Literal of the current number token into bits; kind says which literal it was.
Operand parse_literal(Cursor& cursor);

}  // namespace ft::sim::ptx
