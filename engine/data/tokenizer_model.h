// The part of a tokenizer that differs between kinds: how a piece of text becomes tokens.
//
// One implementation file a kind. All are immutable once made, so any number of threads may share one.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/tokenizer_merges.h"
#include "engine/data/tokenizer_vocabulary.h"

namespace ft {

class TokenModel {
 public:
  virtual ~TokenModel() = default;

  /// Appends the ids of `piece` to `out`: any bytes for a byte-level model, else well-formed UTF-8.
  virtual void encode_piece(std::string_view piece, std::vector<int32_t>& out) const = 0;
  virtual const Vocabulary& vocabulary() const = 0;
  /// "BPE", "Unigram", "WordPiece", "SentencePiece".
  virtual std::string kind() const = 0;
  /// The `model` node of a tokenizer.json. Throws Error for a kind that has none.
  virtual nlohmann::json to_json() const = 0;
};

struct BpeOptions {
  bool bytes = true;           // a piece is bytes, the vocabulary in GPT-2's alphabet; else characters
  bool byte_fallback = false;  // a character that is no token is its bytes' tokens, <0x00> … <0xFF>
  bool ignore_merges = false;  // a piece that is a token itself is taken whole, merges or not
  bool fuse_unk = false;       // neighbouring unknown symbols give one unk_token
  std::string unk_token = {};  // for a symbol that has no token; without one such a symbol is dropped
};

/// BPE (tokenizer_bpe.cpp). Throws InputError, opened by `source`, where unk_token is not in the vocabulary.
std::unique_ptr<TokenModel> make_bpe(std::unique_ptr<const Vocabulary> vocabulary,
                                     std::vector<TokenMerge> merges, BpeOptions options,
                                     const std::string& source);

struct UnigramOptions {
  std::vector<double> scores;  // [size] log-probabilities, finite
  int32_t unk_id = -1;         // for what no token spells, a stretch of it being one token; -1: dropped
  bool byte_fallback = false;  // … unless all of its bytes have tokens
};

/// Unigram (tokenizer_unigram.cpp).
std::unique_ptr<TokenModel> make_unigram(std::unique_ptr<const Vocabulary> vocabulary,
                                         UnigramOptions options);

struct WordPieceOptions {
  std::string unk_token = "[UNK]";
  std::string prefix = "##";    // of tokens that go on a word
  size_t max_characters = 100;  // a longer word is unknown
};

/// WordPiece (tokenizer_wordpiece.cpp). Throws InputError where unk_token is not in the vocabulary.
std::unique_ptr<TokenModel> make_wordpiece(std::unique_ptr<const Vocabulary> vocabulary,
                                           WordPieceOptions options, const std::string& source);

/// The tokens <0x00> … <0xFF>; -1 where the vocabulary has none.
std::vector<int32_t> byte_fallback_ids(const Vocabulary& vocabulary);
/// The byte that "<0x0A>" stands for; -1 for any other content.
int byte_of_token(std::string_view content);
/// The vocabulary as tokenizer.json writes it for BPE and WordPiece: contents and ids.
nlohmann::json vocabulary_json(const Vocabulary& vocabulary);

}  // namespace ft
