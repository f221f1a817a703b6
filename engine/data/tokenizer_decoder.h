// Tokens back to text, token by token: the `decoder` of a tokenizer.json.
//
// Each token becomes some bytes at once, so that text can be shown while it is being generated; what depends
// on where a token stands is kept in a DecodeState. The bytes of byte tokens are joined to characters by
// whoever reads them. (Hugging Face's ByteFallback makes one U+FFFD a byte of a run that is not well-formed
// as a whole; here the good characters of such a run stay. What is replaced behind Fuse is looked for token
// by token all the same.)
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/tokenizer.h"

namespace ft {

class TokenDecoder {
 public:
  /// Reads a `decoder` node. Null is ByteLevel for a byte-level vocabulary, else a blank between tokens.
  /// Throws InputError, opened by `source`, for a type that is not known or broken.
  static TokenDecoder from_json(const nlohmann::json& node, bool byte_level, const std::string& source);

  /// Appends what `token` adds. `added`: its content is text whatever the vocabulary is written in.
  void push(std::string_view token, bool added, DecodeState& state, std::string& out) const;

 private:
  struct Step {
    enum Kind : uint8_t {
      byte_level,
      byte_fallback,
      metaspace,
      word_piece,
      replace,
      strip,
      strip_text,  // of the whole text, its beginning
      blanks
    } kind;
    std::string pattern = {}, content = {};  // word_piece: its prefix; strip: the character
    size_t start = 0, stop = 0;              // strip: at most so many on either side
    bool flag = false;  // metaspace: the first token's are dropped; word_piece: English marks are joined
  };
  void append_steps(const nlohmann::json& node, const std::string& source, int depth);
  void append_step(const std::string& type, const nlohmann::json& node, const std::string& source);

  std::vector<Step> steps_;
  std::string source_;
  bool fused_ = false;  // a step that joins the tokens has been read
};

}  // namespace ft
