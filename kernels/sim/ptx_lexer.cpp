// One pass over the text; a word keeps its dots and "::" so that an opcode is one token.
#include "kernels/sim/ptx_lexer.h"

#include <cctype>

#include "engine/core/check.h"

namespace ft::sim::ptx {
namespace {

bool starts_word(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%' || c == '.';
}
bool continues_word(char c) {
  return starts_word(c) || std::isdigit(static_cast<unsigned char>(c));
}
bool continues_number(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '.';
}

}  // namespace

std::vector<Token> tokenize(std::string_view text, uint32_t first_line) {
  std::vector<Token> tokens;
  tokens.reserve(text.size() / 5);
  uint32_t line = first_line;
  size_t i = 0;
  const size_t n = text.size();
  while (i < n) {
    const char c = text[i];
    if (c == '\n') ++line;
    if (std::isspace(static_cast<unsigned char>(c))) {
      ++i;
    } else if (text.substr(i, 2) == "//") {
      while (i < n && text[i] != '\n') ++i;
    } else if (text.substr(i, 2) == "/*") {
      const size_t close = text.find("*/", i + 2);
      FT_CHECK(close != text.npos, "[ptx] line {}: expected the end of a comment, got the end of the text",
               line);
      for (; i < close + 2; ++i) line += text[i] == '\n';
    } else if (c == '"') {
      const size_t close = text.find('"', i + 1);
      FT_CHECK(close != text.npos, "[ptx] line {}: expected a closing quote, got the end of the text", line);
      tokens.push_back({TokenKind::string, text.substr(i + 1, close - i - 1), line});
      i = close + 1;
    } else if (starts_word(c)) {
      const size_t begin = i;
      while (i < n && (continues_word(text[i]) || (text.substr(i, 2) == "::" && i + 2 < n))) {
        i += text[i] == ':' ? 2 : 1;
      }
      tokens.push_back({TokenKind::word, text.substr(begin, i - begin), line});
    } else if (std::isdigit(static_cast<unsigned char>(c))) {
      const size_t begin = i;
      while (i < n && continues_number(text[i])) ++i;
      tokens.push_back({TokenKind::number, text.substr(begin, i - begin), line});
    } else {
      FT_CHECK(std::string_view("{}[]()<>,;:+-=@!|&*").find(c) != std::string_view::npos,
               "[ptx] line {}: expected PTX, got the character {:#x}", line, static_cast<unsigned char>(c));
      tokens.push_back({TokenKind::punctuation, text.substr(i, 1), line});
      ++i;
    }
  }
  tokens.push_back({TokenKind::end, {}, line});
  return tokens;
}

}  // namespace ft::sim::ptx
