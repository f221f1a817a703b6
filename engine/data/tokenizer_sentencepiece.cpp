#include "engine/data/tokenizer_sentencepiece.h"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "engine/core/check.h"
#include "engine/data/tokenizer_parts.h"
#include "engine/data/tokenizer_unicode.h"
#include "engine/data/tokenizer_utf8.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

/// The ids of words that this thread met lately, under the model that it used last. The library takes a
/// microsecond or two for each.
class WordCache {
 public:
  static constexpr size_t kLongest = 64;  // bytes of a word that is kept

  static WordCache& of(uint64_t model) {
    thread_local WordCache cache;
    if (cache.model_ != model || cache.places_.size() >= kMost) cache = WordCache(model);
    return cache;
  }
  /// Appends the word's ids to `out`, made by encode(out) where they are not known.
  template <class Encode>
  void append(std::string_view word, std::vector<int32_t>& out, const Encode& encode) {
    if (const auto known = places_.find(word); known != places_.end()) {
      const int32_t* ids = ids_.data() + known->second.begin;
      out.insert(out.end(), ids, ids + known->second.count);
      return;
    }
    const size_t first = out.size();
    encode(out);
    places_.emplace(word, Place{ids_.size(), out.size() - first});
    ids_.insert(ids_.end(), out.begin() + static_cast<std::ptrdiff_t>(first), out.end());
  }

 private:
  static constexpr size_t kMost = 1 << 15;
  struct Place {
    size_t begin, count;
  };
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  WordCache() = default;
  explicit WordCache(uint64_t model) : model_(model) {}

  uint64_t model_ = 0;
  std::unordered_map<std::string, Place, Hash, std::equal_to<>> places_;
  std::vector<int32_t> ids_;
};

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
    const auto is_blank = [](const SentencePieceFile::Piece& p) { return p.content == kVisibleBlank; };
    cut_between_words_ = file.bpe && file.add_dummy_prefix && !file.whitespace_as_suffix &&
                         std::any_of(file.pieces.begin(), file.pieces.end(), is_blank) &&
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
    if (!cut_between_words_) return encode_whole(piece, out);
    WordCache& cache = WordCache::of(number_);
    for (size_t begin = 0; begin < piece.size();) {
      const size_t end = find_cut(piece, begin);
      const std::string_view word = piece.substr(begin, end - begin);
      const auto encode = [&](std::vector<int32_t>& to) { encode_whole(word, to); };
      word.size() <= WordCache::kLongest ? cache.append(word, out, encode) : encode(out);
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
  /// The first blank behind a word that something follows; else the end. Behind a character that a
  /// normalizer may make a blank or nothing, as NMT's does with "▁" and U+200B, no word ends for sure.
  static size_t find_cut(std::string_view text, size_t begin) {
    const auto ends_word = [](std::string_view word) {
      const auto last = static_cast<unsigned char>(word.back());
      if (last < 0x80) return last > ' ' && last < 0x7F;
      const char32_t code = last_utf8(word).code;
      return is_word_character(code) || is_punctuation(code);
    };
    size_t at = text.find(' ', begin + 1);
    while (at != std::string_view::npos && !ends_word(text.substr(begin, at - begin)))
      at = text.find(' ', at + 1);
    return at == std::string_view::npos || at + 1 == text.size() ? text.size() : at;
  }
  static uint64_t next_number() {
    static std::atomic<uint64_t> last = 0;
    return ++last;
  }
  [[noreturn]] void refuse(const std::string& why) const {
    bad_input("{}: the sentencepiece library refuses it: {}", source_, printable(why));
  }

  std::string source_;
  int32_t id_offset_;
  // The library keeps all pairs of a text in one heap. Where no piece spans two words, and the blank between
  // them is no unknown that could fuse with others, a text may as well be cut there.
  bool cut_between_words_ = false;
  uint64_t number_ = next_number();  // of all models of this program, from 1
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
