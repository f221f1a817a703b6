// The regular expressions of tokenizer files, executed by PCRE2.
//
// Tokenizer files are written for Oniguruma (Ruby syntax) or Rust's regex; PCRE2 reads the same pattern
// differently in a few places (nested classes, what \s and \w contain, \u, lines). A pattern is therefore
// translated first, and what has no exact translation is refused: a pre-tokeniser that is nearly right gives
// wrong ids without a sign. Matching is compiled to machine code where PCRE2 can, and bounded in steps and
// memory so that no pair of pattern and text runs away.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ft {

/// Bytes [begin, end) of a text.
struct TextSpan {
  uint32_t begin;
  uint32_t end;
};

class TokenRegex {
 public:
  /// `source` (a file's name) opens the message of the InputError that a bad or untranslatable pattern gives.
  TokenRegex(std::string_view pattern, std::string_view source);

  /// All matches in `text` from left to right, none overlapping, appended to `out`. `text` must be
  /// well-formed UTF-8 of less than 2 GiB. Threads may share the object. Throws InputError when a match takes
  /// too many steps.
  void find_all(std::string_view text, std::vector<TextSpan>& out) const;

 private:
  struct Code;
  std::shared_ptr<const Code> code_;
};

/// `pattern` in Oniguruma's syntax as PCRE2 syntax for UTF + UCP; throws InputError naming what it cannot
/// express.
std::string to_pcre2_syntax(std::string_view pattern, std::string_view source);

/// A pattern that matches `text` itself.
std::string escape_regex(std::string_view text);

}  // namespace ft
