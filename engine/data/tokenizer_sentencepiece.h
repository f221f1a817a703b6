// SentencePiece's own model files (`tokenizer.model`, `spiece.model`), executed by the sentencepiece library.
//
// The library trusts its file; a stranger's is therefore read here first, every field bounds-checked, and
// what could lead it out of its tables is refused: a broken character map, scores that are no numbers, pieces
// that are empty, double, endless or hold a NUL.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/tokenizer_model.h"

namespace ft {

struct SentencePieceFile {
  enum Type : int { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
  struct Piece {
    std::string content;
    float score = 0;
    int type = normal;
  };
  std::vector<Piece> pieces;
  bool bpe = false;  // merges pairs; else unigram (or words, or characters)
  bool add_dummy_prefix = true, remove_extra_whitespaces = true, whitespace_as_suffix = false;
};

/// Reads the protocol buffer `ModelProto`. Throws InputError, opened by `source`, for anything that is not
/// one or is not fit for the library.
SentencePieceFile read_sentencepiece(std::string_view bytes, const std::string& source);

/// Whether a file begins like a ModelProto: rank files, the other kind called tokenizer.model, are text.
inline bool is_sentencepiece(std::string_view bytes) {
  return bytes.starts_with('\n');
}

struct SentencePieceModel {
  std::unique_ptr<TokenModel> model;
  SentencePieceFile file;
  std::optional<int32_t> bos_id, eos_id, pad_id, unk_id;
};

/// `id_offset` is added to all ids. Throws InputError, opened by `source`.
SentencePieceModel make_sentencepiece(const std::string& bytes, const std::string& source,
                                      int32_t id_offset = 0);

}  // namespace ft
