// The protocol buffer of a SentencePiece model, as far as it has to be known to be trusted.
//
//   ModelProto: 1 pieces*, 2 trainer_spec, 3 normalizer_spec, 4 self_test_data, 5 denormalizer_spec
//   piece: 1 string, 2 float score, 3 type;  trainer_spec: 3 model_type, 24 treat_whitespace_as_suffix
//    normalizer_spec: 2 precompiled_charsmap, 3 add_dummy_prefix,
//   4 remove_extra_whitespaces
// Source: sentencepiece_model.proto.
#include <cmath>
#include <cstring>

#include "engine/core/check.h"
#include "engine/data/tokenizer_charsmap.h"
#include "engine/data/tokenizer_sentencepiece.h"
#include "engine/data/tokenizer_utf8.h"

namespace ft {
namespace {

// The library takes pieces apart by recursion, one level a character.
constexpr size_t kMaxPieceBytes = 1024;
constexpr float kMaxScore = 1e9f;

/// One message, field by field.
class ProtoReader {
 public:
  ProtoReader(std::string_view bytes, const std::string& source) : rest_(bytes), source_(source) {}

  /// Moves to the next field; false at the end.
  bool next() {
    if (rest_.empty()) return false;
    const uint64_t key = varint();
    number = key >> 3;
    wire = static_cast<int>(key & 7);
    text = {};
    value = 0;
    if (number == 0) broken();
    if (wire == 0) {
      value = varint();
    } else if (wire == 1) {
      text = take(8);
    } else if (wire == 2) {
      text = take(varint());
    } else if (wire == 5) {
      text = take(4);
    } else {
      broken();
    }
    return true;
  }
  /// The field as what it should be.
  std::string_view bytes() const { return wire == 2 ? text : (broken(), text); }
  uint64_t integer() const { return wire == 0 ? value : (broken(), value); }
  float real() const {
    if (wire != 5) broken();
    float result = 0;
    std::memcpy(&result, text.data(), sizeof result);
    return result;
  }
  [[noreturn]] void broken() const {
    bad_input("{}: it is no SentencePiece model, or a broken one", source_);
  }

  uint64_t number = 0;

 private:
  uint64_t varint() {
    uint64_t result = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) broken();
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      result |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return result;
    }
    broken();
  }
  std::string_view take(uint64_t size) {
    if (size > rest_.size()) broken();
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view rest_;
  const std::string& source_;
  int wire = 0;
  uint64_t value = 0;
  std::string_view text;
};

SentencePieceFile::Piece read_piece(std::string_view bytes, size_t index, const std::string& source) {
  SentencePieceFile::Piece piece;
  ProtoReader field(bytes, source);
  while (field.next()) {
    if (field.number == 1) piece.content = field.bytes();
    if (field.number == 2) piece.score = field.real();
    if (field.number == 3) {
      const uint64_t type = field.integer();
      if (type < SentencePieceFile::normal || type > SentencePieceFile::byte) {
        bad_input("{}: piece {} has the unknown type {}", source, index, type);
      }
      piece.type = static_cast<int>(type);
    }
  }
  const auto bad = [&](std::string_view what) { bad_input("{}: piece {} {}", source, index, what); };
  if (piece.content.empty()) bad("is empty");
  if (piece.content.size() > kMaxPieceBytes) bad("is too long");
  if (piece.content.find('\0') != std::string::npos) bad("holds a NUL");
  if (!is_valid_utf8(piece.content)) bad("is not UTF-8");
  if (!(std::abs(piece.score) <= kMaxScore)) bad("has a score that is out of range");
  if (piece.type == SentencePieceFile::byte && byte_of_token(piece.content) < 0) bad("stands for no byte");
  return piece;
}

void read_normalizer(std::string_view bytes, const std::string& source, SentencePieceFile& file) {
  ProtoReader field(bytes, source);
  while (field.next()) {
    if (field.number == 2 && !field.bytes().empty()) Charsmap(field.bytes(), source);
    if (field.number == 3) file.add_dummy_prefix = field.integer() != 0;
    if (field.number == 4) file.remove_extra_whitespaces = field.integer() != 0;
  }
}

void read_trainer(std::string_view bytes, const std::string& source, SentencePieceFile& file) {
  ProtoReader field(bytes, source);
  while (field.next()) {
    if (field.number == 3) file.bpe = field.integer() == 2;
    if (field.number == 24) file.whitespace_as_suffix = field.integer() != 0;
  }
}

}  // namespace

SentencePieceFile read_sentencepiece(std::string_view bytes, const std::string& source) {
  SentencePieceFile file;
  ProtoReader field(bytes, source);
  size_t unknowns = 0;
  SentencePieceFile ignored;
  while (field.next()) {
    if (field.number == 1) {
      file.pieces.push_back(read_piece(field.bytes(), file.pieces.size(), source));
      unknowns += file.pieces.back().type == SentencePieceFile::unknown;
    }
    if (field.number == 2) read_trainer(field.bytes(), source, file);
    if (field.number == 3) read_normalizer(field.bytes(), source, file);
    if (field.number == 5) read_normalizer(field.bytes(), source, ignored);
  }
  if (file.pieces.empty()) bad_input("{}: the SentencePiece model has no pieces", source);
  if (unknowns != 1)
    bad_input("{}: the SentencePiece model has {} unknown pieces, not one", source, unknowns);
  return file;
}

}  // namespace ft
