// UTF-8 by the byte, and the GPT-2 byte alphabet.
//
// Text from users and models is bytes that are only usually UTF-8. Here it is taken apart into characters and
// malformed stretches, in the way Unicode recommends (one U+FFFD for each maximal subpart, chapter 3.9),
// which is also what Rust's and Python's lossy decoding do. Everything is O(1) a character and allocates
// nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ft {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

struct Utf8Unit {
  enum Kind : uint8_t {
    character,  // a well-formed character of `bytes` bytes
    malformed,  // `bytes` bytes that no continuation can make well-formed
    cut,        // the text ends inside what may become a character; `bytes` is all that is left
  };
  Kind kind;
  uint8_t bytes;
  char32_t code;  // of a character, else 0
};

/// The first unit of `text`, which must not be empty.
Utf8Unit next_utf8(std::string_view text);

/// The start of the last character of well-formed, non-empty `text`.
Utf8Unit last_utf8(std::string_view text);

/// Bytes at the start of `text` that are well-formed UTF-8.
size_t valid_utf8_prefix(std::string_view text);
inline bool is_valid_utf8(std::string_view text) {
  return valid_utf8_prefix(text) == text.size();
}

void append_utf8(std::string& out, char32_t code);

/// `bytes` with U+FFFD in the place of each malformed or cut stretch.
std::string to_valid_utf8(std::string_view bytes);

/// Unicode's White_Space.
bool is_unicode_space(char32_t code);
/// A word character of UTS #18: alphabetic, mark, decimal digit, connector, joiner.
bool is_unicode_word(char32_t code);

/// GPT-2's alphabet writes each byte as one printable character, so that a vocabulary can be kept as text:
/// '!'…'~', '¡'…'¬' and '®'…'ÿ' stand for themselves, the other 68 bytes are U+0100 … U+0143 in order.
char32_t byte_to_char(uint8_t byte);
/// The byte that `code` stands for; none for a character outside of the alphabet.
std::optional<uint8_t> char_to_byte(char32_t code);

/// `bytes` in the alphabet, appended to `out`.
void append_byte_level(std::string& out, std::string_view bytes);
/// The bytes that `text` in the alphabet stands for; none if a character of it lies outside.
std::optional<std::string> from_byte_level(std::string_view text);

}  // namespace ft
