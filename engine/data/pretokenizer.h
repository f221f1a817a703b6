// Cuts text into the pieces inside which merges happen, as the `pre_tokenizer` of a tokenizer.json says.
//
// A pre-tokeniser is a list of steps; each cuts every piece of the one before, by a regular expression and a
// rule for what becomes of its matches. ByteLevel is special: the steps behind it see text in which each byte
// is written as a character of GPT-2's alphabet (Falcon depends on it), so the text is rewritten for them and
// turned back at the end. Pieces come out as raw bytes. Metaspace writes blanks as a visible character before
// it cuts. The cost is one pass over the text a step.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/pretokenizer_regex.h"

namespace ft {

class PreTokenizer {
 public:
  /// What becomes of the matches of a step's pattern (names of Hugging Face's tokenizers).
  enum class Behavior : uint8_t { removed, isolated, merged_with_previous, merged_with_next, contiguous };

  /// Reads a `pre_tokenizer` node; null is no step. Throws InputError, opened by `source`, for a type that is
  /// not known or broken.
  static PreTokenizer from_json(const nlohmann::json& node, const std::string& source);

  /// Whether the pieces' bytes are what the model's vocabulary is written in (a ByteLevel step is there).
  bool byte_level() const { return byte_level_; }

  /// The pieces of a text. `text` views the input or `storage`, whichever the steps left.
  struct Pieces {
    std::string_view text;
    std::vector<TextSpan> spans;
    std::string storage;
    std::string_view operator[](size_t i) const {
      return text.substr(spans[i].begin, spans[i].end - spans[i].begin);
    }
  };
  /// Cuts well-formed UTF-8 `text` of less than 1 GiB, which begins the whole text or (`inner`) goes on
  /// behind a special token. `pieces` is overwritten; its buffers are reused.
  void split(std::string_view text, Pieces& pieces, bool inner = false) const;

 private:
  enum class Prefix : uint8_t { never, first, always };
  struct Step {
    std::optional<TokenRegex> regex;  // none: cuts nothing
    Behavior behavior = Behavior::isolated;
    bool invert = false;            // matches and the text between them change places
    bool byte_level = false;        // the text is rewritten in GPT-2's alphabet after this step
    std::string blank;              // before cutting, blanks become this; empty: they stay
    Prefix prefix = Prefix::never;  // … and which pieces get one in front unless they have it
  };
  void append_steps(const nlohmann::json& node, const std::string& source, int depth);
  void append_metaspace(const nlohmann::json& node, const std::string& source);
  void append_regex(const char* pattern, Behavior behavior, bool invert, const std::string& source);

  std::vector<Step> steps_;
  bool byte_level_ = false;
};

}  // namespace ft
