// Unigram (Kudo 2018): of all ways to cut a piece into tokens, the one whose scores add up to the most.
//
// One pass over the piece keeps the best way to reach each character's end (Viterbi), so the cost is the
// length times the number of tokens that begin at a place. A character that no single token covers may be
// taken as unknown, for a little less than the worst token; neighbouring unknowns are one.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/data/tokenizer_model.h"
#include "engine/data/tokenizer_trie.h"
#include "engine/data/tokenizer_utf8.h"

namespace ft {
namespace {

constexpr double kUnknownPenalty = 10.0;

class UnigramModel final : public TokenModel {
 public:
  UnigramModel(std::unique_ptr<const Vocabulary> vocabulary, UnigramOptions options)
      : vocabulary_(std::move(vocabulary)), options_(std::move(options)) {
    std::vector<std::pair<std::string_view, int32_t>> keys;
    for (int32_t id = 0; id < vocabulary_->size(); ++id) {
      if (const auto content = vocabulary_->content(id); !content.empty()) keys.emplace_back(content, id);
    }
    trie_ = TokenTrie(std::move(keys));
    const auto worst = std::min_element(options_.scores.begin(), options_.scores.end());
    unknown_score_ = (worst == options_.scores.end() ? 0.0 : *worst) - kUnknownPenalty;
    if (options_.byte_fallback) byte_ids_ = byte_fallback_ids(*vocabulary_);
  }

  void encode_piece(std::string_view piece, std::vector<int32_t>& out) const override {
    thread_local std::vector<Node> nodes;
    nodes.assign(piece.size() + 1, Node{});
    for (size_t at = 0; at < piece.size();) {
      const double so_far = nodes[at].score;
      const auto reach = [&](size_t end, double score, int32_t id) {
        Node& node = nodes[end];
        if (node.length == 0 || score > node.score) {
          node = {score, id, static_cast<uint32_t>(end - at)};
        }
      };
      const size_t character = next_utf8(piece.substr(at)).bytes;
      bool covered = false;
      trie_.prefixes(piece.substr(at), [&](size_t length, int32_t id) {
        reach(at + length, so_far + options_.scores[static_cast<size_t>(id)], id);
        covered = covered || length == character;
      });
      if (!covered) reach(at + character, so_far + unknown_score_, kUnknown);
      at += character;
    }
    const size_t first = out.size();
    for (size_t end = piece.size(); end > 0;) {  // from the back
      size_t begin = end - nodes[end].length;
      if (!is_unknown(nodes[end].id)) {
        out.push_back(nodes[end].id);
      } else {
        while (begin > 0 && is_unknown(nodes[begin].id)) begin -= nodes[begin].length;
        append_unknown(piece.substr(begin, end - begin), out);
      }
      end = begin;
    }
    std::reverse(out.begin() + static_cast<std::ptrdiff_t>(first), out.end());
  }

  const Vocabulary& vocabulary() const override { return *vocabulary_; }
  std::string kind() const override { return "Unigram"; }

  nlohmann::json to_json() const override {
    nlohmann::json vocab = nlohmann::json::array();
    for (int32_t id = 0; id < vocabulary_->size(); ++id) {
      vocab.push_back({vocabulary_->content(id), options_.scores[static_cast<size_t>(id)]});
    }
    nlohmann::json unk = nullptr;
    if (options_.unk_id >= 0) unk = options_.unk_id;
    return {{"type", "Unigram"},
            {"unk_id", unk},
            {"byte_fallback", options_.byte_fallback},
            {"vocab", std::move(vocab)}};
  }

 private:
  static constexpr int32_t kUnknown = -1;
  /// The best way to a place in the piece: its last token, which is `length` bytes long; 0: not reached.
  struct Node {
    double score = 0;
    int32_t id = kUnknown;
    uint32_t length = 0;
  };
  bool is_unknown(int32_t id) const { return id == kUnknown || id == options_.unk_id; }

  /// In reverse, as all of `out` is.
  void append_unknown(std::string_view text, std::vector<int32_t>& out) const {
    const auto id = [&](char c) { return byte_ids_[static_cast<uint8_t>(c)]; };
    if (!byte_ids_.empty() && std::all_of(text.begin(), text.end(), [&](char c) { return id(c) >= 0; })) {
      for (size_t i = text.size(); i-- > 0;) out.push_back(id(text[i]));
    } else if (options_.unk_id >= 0) {
      out.push_back(options_.unk_id);
    }
  }

  std::unique_ptr<const Vocabulary> vocabulary_;
  UnigramOptions options_;
  TokenTrie trie_;
  double unknown_score_ = 0;
  std::vector<int32_t> byte_ids_;  // [256] with byte_fallback, else empty
};

}  // namespace

std::unique_ptr<TokenModel> make_unigram(std::unique_ptr<const Vocabulary> vocabulary,
                                         UnigramOptions options) {
  return std::make_unique<UnigramModel>(std::move(vocabulary), std::move(options));
}

}  // namespace ft
