#include "engine/data/tokenizer_sentencepiece.h"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/core/check.h"
#include "engine/data/tokenizer_parts.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

class Model final : public TokenModel {
 public:
  Model(const std::string& bytes, const SentencePieceFile& file, const std::string& source, int32_t id_offset)
      : source_(source), id_offset_(id_offset) {
    std::vector<std::pair<std::string, int32_t>> entries;
    for (const auto& piece : file.pieces) {
      entries.emplace_back(piece.content, id_offset + static_cast<int32_t>(entries.size()));
    }
    const auto crosses_words = [](const SentencePieceFile::Piece& p) {
      const size_t word = p.content.find_first_not_of(kVisibleBlank);
      return word != std::string::npos && p.content.find(kVisibleBlank, word) != std::string::npos;
    };
    cut_between_words_ = file.bpe && file.add_dummy_prefix && !file.whitespace_as_suffix &&
                         std::none_of(file.pieces.begin(), file.pieces.end(), crosses_words);
    vocabulary_ = std::make_unique<const Vocabulary>(std::move(entries), source);
    try {
      const auto status = processor_.LoadFromSerializedProto(bytes);
      if (!status.ok()) refuse(status.ToString());
    } catch (const InputError&) {
      throw;
    } catch (const std::exception& e) {  // its double array
      refuse(e.what());
    }
  }

  void encode_piece(std::string_view piece, std::vector<int32_t>& out) const override {
    for (size_t begin = 0; begin < piece.size();) {
      const size_t end = cut_between_words_ ? find_cut(piece, begin) : piece.size();
      encode_whole(piece.substr(begin, end - begin), out);
      begin = end + 1;  // the blank there is the one that the library puts in front
    }
  }

  const Vocabulary& vocabulary() const override { return *vocabulary_; }
  std::string kind() const override { return "SentencePiece"; }
  nlohmann::json to_json() const override {
    fail("{}: a SentencePiece model is kept as its own file, not written as tokenizer.json", source_);
  }

  std::optional<int32_t> shifted(int id) const {
    return id < 0 ? std::nullopt : std::optional<int32_t>(id + id_offset_);
  }
  const sentencepiece::SentencePieceProcessor& processor() const { return processor_; }

 private:
  void encode_whole(std::string_view text, std::vector<int32_t>& out) const {
    thread_local std::vector<int> ids;
    const auto status = processor_.Encode(text, &ids);
    if (!status.ok()) bad_input("{}: a text cannot be encoded: {}", source_, printable(status.ToString()));
    for (const int id : ids) out.push_back(id + id_offset_);
  }
  /// The first blank behind a word, some way on, that something follows; else the end.
  static size_t find_cut(std::string_view text, size_t begin) {
    constexpr size_t enough = 256;
    size_t at = text.find(' ', std::min(begin + enough, text.size()));
    while (at != std::string_view::npos && text[at - 1] == ' ') at = text.find(' ', at + 1);
    return at == std::string_view::npos || at + 1 == text.size() ? text.size() : at;
  }
  [[noreturn]] void refuse(const std::string& why) const {
    bad_input("{}: the sentencepiece library refuses it: {}", source_, printable(why));
  }

  std::string source_;
  int32_t id_offset_;
  // The library keeps all pairs of a text in one heap. Where no piece spans two words, a long text may as
  // well be cut between them.
  bool cut_between_words_ = false;
  std::unique_ptr<const Vocabulary> vocabulary_;
  sentencepiece::SentencePieceProcessor processor_;
};

}  // namespace

SentencePieceModel make_sentencepiece(const std::string& bytes, const std::string& source,
                                      int32_t id_offset) {
  SentencePieceModel result;
  result.file = read_sentencepiece(bytes, source);
  auto model = std::make_unique<Model>(bytes, result.file, source, id_offset);
  result.bos_id = model->shifted(model->processor().bos_id());
  result.eos_id = model->shifted(model->processor().eos_id());
  result.pad_id = model->shifted(model->processor().pad_id());
  result.unk_id = model->shifted(model->processor().unk_id());
  result.model = std::move(model);
  return result;
}

}  // namespace ft
