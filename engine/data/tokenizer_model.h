// The part of a tokenizer that differs between kinds: how a piece of text becomes tokens.
//
// One implementation file a kind. All are immutable once made, so any number of threads may share one.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/data/tokenizer_vocabulary.h"

namespace ft {

class TokenModel {
 public:
  virtual ~TokenModel() = default;

  /// Appends the ids of `piece` (any bytes) to `out`.
  virtual void encode_piece(std::string_view piece, std::vector<int32_t>& out) const = 0;
  /// Appends the bytes that token `id` stands for; nothing for an id without a token.
  virtual void append_bytes(int32_t id, std::string& out) const = 0;
  virtual const Vocabulary& vocabulary() const = 0;
  /// The `model` node of a tokenizer.json.
  virtual nlohmann::json to_json() const = 0;
};

struct BpeOptions {
  bool ignore_merges = false;  // a piece that is a token itself is taken whole, merges or not
  bool fuse_unk = false;       // neighbouring unknown bytes give one unk_token
  std::string unk_token;       // for a byte that has no token; without one such a byte is dropped
};

/// Byte-level BPE (tokenizer_bpe.cpp). `merges`: pairs of contents in order of rank; the views are not kept.
/// Throws InputError, opened by `source`, where a merge names or makes a token that the vocabulary lacks.
std::unique_ptr<TokenModel> make_bpe(std::unique_ptr<const Vocabulary> vocabulary,
                                     const std::vector<std::pair<std::string_view, std::string_view>>& merges,
                                     BpeOptions options, const std::string& source);

}  // namespace ft
