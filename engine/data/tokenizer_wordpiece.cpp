// WordPiece as BERT uses it: from the left, always the longest token that fits; a word that cannot be spelt
// to its end is one unknown token.
#include <nlohmann/json.hpp>

#include "engine/core/check.h"
#include "engine/data/tokenizer_model.h"
#include "engine/data/tokenizer_trie.h"
#include "engine/data/tokenizer_utf8.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

class WordPieceModel final : public TokenModel {
 public:
  WordPieceModel(std::unique_ptr<const Vocabulary> vocabulary, WordPieceOptions options,
                 const std::string& source)
      : vocabulary_(std::move(vocabulary)), options_(std::move(options)) {
    const auto unk = vocabulary_->id(options_.unk_token);
    if (!unk) {
      bad_input("{}: unk_token \"{}\" is not in the vocabulary", source, printable(options_.unk_token));
    }
    unk_id_ = *unk;
    std::vector<std::pair<std::string_view, int32_t>> first, later;
    for (int32_t id = 0; id < vocabulary_->size(); ++id) {
      const auto content = vocabulary_->content(id);
      if (content.empty()) continue;
      first.emplace_back(content, id);
      if (content.size() > options_.prefix.size() && content.starts_with(options_.prefix)) {
        later.emplace_back(content.substr(options_.prefix.size()), id);
      }
    }
    first_ = TokenTrie(std::move(first));
    later_ = TokenTrie(std::move(later));
  }

  void encode_piece(std::string_view piece, std::vector<int32_t>& out) const override {
    const size_t first = out.size();
    bool known = characters_within(piece, options_.max_characters);
    for (size_t at = 0; known && at < piece.size();) {
      size_t length = 0;
      int32_t id = -1;
      (at == 0 ? first_ : later_).prefixes(piece.substr(at), [&](size_t bytes, int32_t value) {
        length = bytes;
        id = value;
      });
      known = length > 0;
      if (known) out.push_back(id);
      at += length;
    }
    if (known) return;
    out.resize(first);
    out.push_back(unk_id_);
  }

  const Vocabulary& vocabulary() const override { return *vocabulary_; }
  std::string kind() const override { return "WordPiece"; }

  nlohmann::json to_json() const override {
    return {{"type", "WordPiece"},
            {"unk_token", options_.unk_token},
            {"continuing_subword_prefix", options_.prefix},
            {"max_input_chars_per_word", options_.max_characters},
            {"vocab", vocabulary_json(*vocabulary_)}};
  }

 private:
  static bool characters_within(std::string_view text, size_t most) {
    if (text.size() <= most) return true;
    size_t characters = 0;
    for (size_t at = 0; at < text.size() && characters <= most; ++characters) {
      at += next_utf8(text.substr(at)).bytes;
    }
    return characters <= most;
  }

  std::unique_ptr<const Vocabulary> vocabulary_;
  WordPieceOptions options_;
  int32_t unk_id_ = -1;
  TokenTrie first_, later_;  // for a word's beginning, and (without the prefix) for what goes on
};

}  // namespace

std::unique_ptr<TokenModel> make_wordpiece(std::unique_ptr<const Vocabulary> vocabulary,
                                           WordPieceOptions options, const std::string& source) {
  return std::make_unique<WordPieceModel>(std::move(vocabulary), std::move(options), source);
}

}  // namespace ft
