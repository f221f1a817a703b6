// Splits PTX text into tokens. Tokens are views into the text, which must outlive them; nothing is copied.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace ft::sim::ptx {

enum class TokenKind : uint8_t { word, number, string, punctuation, end };

/// A word is an identifier, a register, a directive or an opcode with all its dotted modifiers.
struct Token {
  TokenKind kind = TokenKind::end;
  std::string_view text;
  uint32_t line = 0;  // line of the PTX text, from 1
};

/// Throws ft::Error on a character that PTX does not have, or on an unterminated string or comment.
std::vector<Token> tokenize(std::string_view text, uint32_t first_line = 1);

}  // namespace ft::sim::ptx
