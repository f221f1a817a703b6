// The two lists that name tokens: the model's vocabulary and the added tokens.
//
// Both map contents to ids and back, one to one; a file that says otherwise is refused. The vocabulary may
// have holes, and its size is bounded by the number of its entries, so that a wild id cannot ask for all the
// memory.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/data/pretokenizer_regex.h"

namespace ft {

/// The model's tokens, in the form the model is written in (byte-level: GPT-2's alphabet).
class Vocabulary {
 public:
  /// `entries`: content and id, in any order. Throws InputError, opened by `source`, for a negative or wild
  /// id, an id or a content that stands for two, or malformed UTF-8. An entry without content is a hole.
  Vocabulary(std::vector<std::pair<std::string, int32_t>> entries, const std::string& source);
  Vocabulary(Vocabulary&&) = delete;  // by_content_ views contents_

  /// One more than the largest id.
  int32_t size() const { return static_cast<int32_t>(contents_.size()); }
  /// Empty in a hole and beyond the end.
  std::string_view content(int32_t id) const {
    return id >= 0 && id < size() ? std::string_view(contents_[static_cast<size_t>(id)]) : std::string_view();
  }
  std::optional<int32_t> id(std::string_view content) const;

 private:
  std::vector<std::string> contents_;
  std::unordered_map<std::string_view, int32_t> by_content_;
};

/// A token that is looked for in the text itself, before any model sees it (Hugging Face's AddedToken).
struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool special = false;      // control: not shown, not found when special tokens are not to be parsed
  bool single_word = false;  // only where no word character stands next to it
  bool lstrip = false;       // takes the white space on its left with it
  bool rstrip = false;       // … on its right
  bool normalized = false;   // looked for in the normalised text, else in the text as it came
  bool hidden = false;       // not looked for at all: no text spells it
};

/// Finds any of a set of strings in a text: leftmost first, the longest of those that begin there. A byte of
/// text costs one table look-up unless a string begins with it.
class AddedTokenMatcher {
 public:
  AddedTokenMatcher() = default;
  /// `tokens` must outlive the matcher; `contents[i]` is what tokens[i] looks like in the text.
  AddedTokenMatcher(std::vector<const AddedToken*> tokens, std::vector<std::string> contents);

  struct Match {
    TextSpan span;  // with the white space that lstrip and rstrip took
    const AddedToken* token;
  };
  /// Matches in well-formed UTF-8 `text` from left to right, appended to `out`.
  void find_all(std::string_view text, bool parse_special, std::vector<Match>& out) const;
  bool empty() const { return entries_.empty(); }

 private:
  struct Entry {
    std::string content;
    const AddedToken* token;
  };
  const Entry* longest_at(std::string_view rest) const;

  std::vector<Entry> entries_;  // sorted by content
  struct Range {
    uint32_t begin = 0, end = 0;
  };
  std::array<Range, 256> by_first_byte_{};
};

}  // namespace ft
