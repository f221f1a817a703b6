// Cuts text into the pieces inside which merges happen, as the `pre_tokenizer` of a tokenizer.json says.
//
// A pre-tokeniser is a list of steps; each cuts every piece of the one before, by a regular expression and a
// rule for what becomes of its matches. ByteLevel is special: the steps behind it see text in which each byte
// is written as a character of GPT-2's alphabet (Falcon depends on it), so the text is rewritten for them and
// turned back at the end. Pieces come out as raw bytes. The cost is one regex pass over the text a step.
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

  /// Reads a `pre_tokenizer` node: ByteLevel, Split, Digits, Punctuation, or a Sequence of them; null is no
  /// step. Throws InputError, opened by `source`, for anything else.
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
  /// Cuts well-formed UTF-8 `text` of less than 1 GiB. `pieces` is overwritten; its buffers are reused.
  void split(std::string_view text, Pieces& pieces) const;

 private:
  struct Step {
    std::optional<TokenRegex> regex;  // none: cuts nothing
    Behavior behavior = Behavior::isolated;
    bool invert = false;            // matches and the text between them change places
    bool byte_level = false;        // the text is rewritten in GPT-2's alphabet after this step
    bool add_prefix_space = false;  // before cutting, a piece gets a blank in front unless it has one
  };
  void append_steps(const nlohmann::json& node, const std::string& source, int depth);

  std::vector<Step> steps_;
  bool byte_level_ = false;
};

}  // namespace ft
