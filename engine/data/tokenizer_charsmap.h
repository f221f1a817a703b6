// SentencePiece's precompiled character map: which short strings a text's normal form replaces by which.
//
//   u32 bytes of the trie (little endian), the trie (units of u32, a double array as darts-clone writes it),
//   the replacements, each closed by a NUL
//
// A map comes from a stranger's file. It is checked once, as a whole: from every unit of the trie each next
// byte leads to a unit inside it, and each value is the start of a replacement; so walking it needs no check.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ft {

class Charsmap {
 public:
  /// Throws InputError, opened by `source`, for anything that is not a map.
  Charsmap(std::string_view blob, const std::string& source);

  /// The normal form of well-formed `text`, appended to `out`, as Hugging Face's tokenizers make it: of each
  /// grapheme of up to 5 bytes, else of each character, the shortest beginning that is in the map decides
  /// what becomes of the whole.
  void append_normal(std::string_view text, std::string& out) const;

 private:
  /// The replacement of the shortest beginning of `text` that has one.
  std::optional<std::string_view> find(std::string_view text) const;
  void append_grapheme(std::string_view grapheme, std::string& out) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace ft
