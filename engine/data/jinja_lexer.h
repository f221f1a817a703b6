// The text of a Jinja template as tokens, with the white space around tags settled as transformers sets its
// environment: trim_blocks (the line end behind a block or comment goes), lstrip_blocks (so does the indent
// before one that begins its line), one line end at the very end goes; "-" takes all white space on its side,
// "+" keeps it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ft::jinja {

struct Token {
  enum class Kind {
    data,        // text as it stands
    open_block,  // {%
    close_block,
    open_output,  // {{
    close_output,
    name,
    text,  // a string literal, escapes resolved
    integer,
    real,
    op,  // also brackets and punctuation
    end
  };
  Kind kind = Kind::end;
  int line = 1;
  std::string content;  // of data, name, text, op
  int64_t whole = 0;
  double number = 0;
};

/// Throws InputError "NAME:LINE: …".
std::vector<Token> tokenize(std::string_view source, std::string_view name);

}  // namespace ft::jinja
