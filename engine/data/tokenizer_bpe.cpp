// BPE (Sennrich et al. 2016), over bytes (Radford et al. 2019) or over characters (SentencePiece).
//
// A piece starts as one token a byte or character; what happens then is tokenizer_merges.h's. A character
// that is no token becomes the tokens of its bytes, or the unknown token.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "engine/core/check.h"
#include "engine/data/tokenizer_model.h"
#include "engine/data/tokenizer_utf8.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

class BpeModel final : public TokenModel {
 public:
  BpeModel(std::unique_ptr<const Vocabulary> vocabulary, std::vector<TokenMerge> merges, BpeOptions options,
           const std::string& source)
      : vocabulary_(std::move(vocabulary)),
        merges_(std::move(merges), *vocabulary_),
        options_(std::move(options)) {
    if (options_.bytes) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string content;
        append_utf8(content, byte_to_char(static_cast<uint8_t>(byte)));
        byte_ids_.push_back(vocabulary_->id(content).value_or(-1));
      }
    } else {
      byte_ids_ = options_.byte_fallback ? byte_fallback_ids(*vocabulary_) : std::vector<int32_t>(256, -1);
      for (size_t c = 0; c < ascii_ids_.size(); ++c) {
        ascii_ids_[c] = vocabulary_->id(std::string(1, static_cast<char>(c))).value_or(-1);
      }
    }
    if (!options_.unk_token.empty()) {
      const auto id = vocabulary_->id(options_.unk_token);
      if (!id) {
        bad_input("{}: unk_token \"{}\" is not in the vocabulary", source, printable(options_.unk_token));
      }
      unk_id_ = *id;
    }
  }

  void encode_piece(std::string_view piece, std::vector<int32_t>& out) const override {
    if (options_.ignore_merges) {
      if (const auto id = whole(piece)) {
        out.push_back(*id);
        return;
      }
    }
    const size_t first = out.size();
    options_.bytes ? append_bytes(piece, out) : append_characters(piece, out);
    out.resize(first + merges_.apply(out.data() + first, out.size() - first));
  }

  const Vocabulary& vocabulary() const override { return *vocabulary_; }
  std::string kind() const override { return "BPE"; }

  nlohmann::json to_json() const override {
    nlohmann::json merges = nlohmann::json::array();
    for (const TokenMerge& m : merges_.by_rank()) {
      merges.push_back({vocabulary_->content(m.left), vocabulary_->content(m.right)});
    }
    nlohmann::json unk = nullptr;
    if (!options_.unk_token.empty()) unk = options_.unk_token;
    return {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", unk},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", options_.fuse_unk},
            {"byte_fallback", options_.byte_fallback},
            {"ignore_merges", options_.ignore_merges},
            {"vocab", vocabulary_json(*vocabulary_)},
            {"merges", std::move(merges)}};
  }

 private:
  std::optional<int32_t> whole(std::string_view piece) const {
    if (!options_.bytes) return vocabulary_->id(piece);
    thread_local std::string content;
    content.clear();
    append_byte_level(content, piece);
    return vocabulary_->id(content);
  }

  /// Tells unknown symbols in a row from single ones.
  struct Unknowns {
    bool last = false;
  };
  void append_unknown(Unknowns& unknowns, std::vector<int32_t>& out) const {
    if (unk_id_ >= 0 && !(options_.fuse_unk && unknowns.last)) out.push_back(unk_id_);
    unknowns.last = true;
  }

  void append_bytes(std::string_view piece, std::vector<int32_t>& out) const {
    Unknowns unknowns;
    for (const char c : piece) {
      const int32_t id = byte_ids_[static_cast<uint8_t>(c)];
      if (id < 0) {
        append_unknown(unknowns, out);
        continue;
      }
      out.push_back(id);
      unknowns.last = false;
    }
  }

  void append_characters(std::string_view piece, std::vector<int32_t>& out) const {
    Unknowns unknowns;
    while (!piece.empty()) {
      const Utf8Unit unit = next_utf8(piece);
      const std::string_view character = piece.substr(0, unit.bytes);
      piece.remove_prefix(unit.bytes);
      const int32_t id = unit.code < 0x80 ? ascii_ids_[unit.code] : vocabulary_->id(character).value_or(-1);
      const auto byte_id = [&](char c) { return byte_ids_[static_cast<uint8_t>(c)]; };
      if (id >= 0) {
        out.push_back(id);
        unknowns.last = false;
      } else if (std::all_of(character.begin(), character.end(), [&](char c) { return byte_id(c) >= 0; })) {
        for (const char c : character) out.push_back(byte_id(c));
      } else {
        append_unknown(unknowns, out);
      }
    }
  }

  std::unique_ptr<const Vocabulary> vocabulary_;
  MergeTable merges_;
  BpeOptions options_;
  int32_t unk_id_ = -1;
  std::vector<int32_t> byte_ids_;         // [256], -1: no token for this byte
  std::array<int32_t, 128> ascii_ids_{};  // over characters: -1 for none
};

}  // namespace

std::unique_ptr<TokenModel> make_bpe(std::unique_ptr<const Vocabulary> vocabulary,
                                     std::vector<TokenMerge> merges, BpeOptions options,
                                     const std::string& source) {
  return std::make_unique<BpeModel>(std::move(vocabulary), std::move(merges), std::move(options), source);
}

int byte_of_token(std::string_view content) {
  if (content.size() != 6 || !content.starts_with("<0x") || content[5] != '>') return -1;
  int byte = 0;
  for (const char c : content.substr(3, 2)) {
    const char upper = c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c;
    const bool digit = upper >= '0' && upper <= '9', letter = upper >= 'A' && upper <= 'F';
    if (!digit && !letter) return -1;
    byte = byte * 16 + (digit ? upper - '0' : upper - 'A' + 10);
  }
  return byte;
}

std::vector<int32_t> byte_fallback_ids(const Vocabulary& vocabulary) {
  std::vector<int32_t> ids;
  for (int byte = 0; byte < 256; ++byte) {
    ids.push_back(vocabulary.id(fmt::format("<0x{:02X}>", byte)).value_or(-1));
  }
  return ids;
}

nlohmann::json vocabulary_json(const Vocabulary& vocabulary) {
  nlohmann::json vocab = nlohmann::json::object();
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    if (const auto content = vocabulary.content(id); !content.empty()) vocab[std::string(content)] = id;
  }
  return vocab;
}

}  // namespace ft
