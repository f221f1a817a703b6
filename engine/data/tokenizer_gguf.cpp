// Tokenizers out of GGUF metadata.
#include <algorithm>
#include <cmath>
#include <functional>

#include "engine/core/check.h"
#include "engine/data/tokenizer.h"
#include "engine/data/tokenizer_parts.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

enum GgufTokenType : int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

/// A place kept free so that the embedding has a round number of rows; converters call it "[PAD151646]".
bool is_padding(const std::string& content, size_t id) {
  return content == fmt::format("[PAD{}]", id);
}

/// The vocabulary, and among parts.added what is control or user-defined; `rename(content, type)` gives the
/// form that the model is written in.
template <class Rename>
std::unique_ptr<const Vocabulary> read_vocabulary(const GgufTokenizerData& data, TokenizerParts& parts,
                                                  Rename&& rename) {
  const std::string& source = data.source;
  if (!data.token_type.empty() && data.token_type.size() != data.tokens.size()) {
    bad_input("{}: {} tokens but {} token types", source, data.tokens.size(), data.token_type.size());
  }
  std::vector<std::pair<std::string, int32_t>> entries;
  entries.reserve(data.tokens.size());
  for (size_t i = 0; i < data.tokens.size(); ++i) {
    const int32_t type = data.token_type.empty() ? kNormal : data.token_type[i];
    if (type < kNormal || type > kByte) {
      bad_input("{}: token {} has the unknown type {}", source, i, type);
    }
    if (type == kUnused || is_padding(data.tokens[i], i)) continue;
    const std::string content = rename(data.tokens[i], type);
    const auto id = static_cast<int32_t>(i);
    entries.emplace_back(content, id);
    if (content.empty()) continue;
    if (type == kControl || type == kUnknown) {
      parts.added.push_back({.id = id, .content = content, .special = true});
    } else if (type == kUserDefined) {
      parts.added.push_back({.id = id, .content = content});
    }
  }
  return std::make_unique<const Vocabulary>(std::move(entries), source);
}

constexpr auto kAsItIs = [](const std::string& content, int32_t) { return content; };

MergeViews merge_views(const GgufTokenizerData& data) {
  MergeViews merges;
  merges.reserve(data.merges.size());
  for (size_t i = 0; i < data.merges.size(); ++i) {
    const std::string_view line = data.merges[i];
    const size_t blank = line.find(' ');
    if (blank == std::string_view::npos || line.find(' ', blank + 1) != std::string_view::npos) {
      bad_input("{}: merge {}, \"{}\", is not two tokens with a blank between them", data.source, i + 1,
                printable(line));
    }
    merges.emplace_back(line.substr(0, blank), line.substr(blank + 1));
  }
  return merges;
}

void read_byte_level(const GgufTokenizerData& data, const TokenizerFamily& family, TokenizerParts& parts) {
  parts.normalizer = family.normalizer;
  parts.pre_tokenizer = family.pre_tokenizer;
  parts.decoder = byte_level_decoder();
  auto vocabulary = read_vocabulary(data, parts, kAsItIs);
  auto merges = merges_of_pairs(*vocabulary, merge_views(data), data.source);
  parts.model = make_bpe(std::move(vocabulary), std::move(merges), {.ignore_merges = family.ignore_merges},
                         data.source);
}

/// SentencePiece's BPE: of two tokens side by side that make a third, the pair whose third scores highest.
void read_sentencepiece_bpe(const GgufTokenizerData& data, TokenizerParts& parts) {
  const std::string& source = data.source;
  if (data.scores.size() != data.tokens.size()) {
    bad_input("{}: {} tokens but {} scores", source, data.tokens.size(), data.scores.size());
  }
  auto vocabulary = read_vocabulary(data, parts, kAsItIs);
  std::vector<float> distinct;
  for (const float score : data.scores) {
    if (!std::isfinite(score)) bad_input("{}: a token's score is not a number", source);
    distinct.push_back(score);
  }
  std::sort(distinct.begin(), distinct.end(), std::greater<>());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  std::vector<uint32_t> ranks(static_cast<size_t>(vocabulary->size()), kNoRank);
  for (size_t id = 0; id < ranks.size(); ++id) {
    const int32_t type = data.token_type.empty() ? kNormal : data.token_type[id];
    if (type != kNormal && type != kUserDefined) continue;
    const auto at = std::lower_bound(distinct.begin(), distinct.end(), data.scores[id], std::greater<>());
    ranks[id] = static_cast<uint32_t>(at - distinct.begin());
  }
  const bool prefix = data.add_space_prefix.value_or(true);
  nlohmann::json steps = nlohmann::json::array();
  if (prefix) steps.push_back({{"type", "Prepend"}, {"prepend", kVisibleBlank}});
  steps.push_back(replace_node(" ", kVisibleBlank));
  parts.normalizer = sequence_node("normalizers", std::move(steps));
  parts.decoder = sentencepiece_decoder(prefix ? 1 : 0);
  BpeOptions options{.bytes = false, .byte_fallback = true, .fuse_unk = true};
  if (data.unk_id) options.unk_token = vocabulary->content(*data.unk_id);
  auto merges = merges_of_ranks(*vocabulary, ranks, source);
  parts.model = make_bpe(std::move(vocabulary), std::move(merges), std::move(options), source);
}

/// BERT's vocabulary in the form of converters: "▁" before words' beginnings instead of "##" before the rest.
void read_wordpiece(const GgufTokenizerData& data, TokenizerParts& parts) {
  const std::string_view blank = kVisibleBlank;
  auto vocabulary = read_vocabulary(data, parts, [&](const std::string& content, int32_t type) {
    const bool special = type != kNormal || (content.starts_with('[') && content.ends_with(']'));
    if (special || content.empty()) return content;
    return content.starts_with(blank) ? content.substr(blank.size()) : "##" + content;
  });
  parts.normalizer = bert_normalizer(true);
  parts.pre_tokenizer = {{"type", "BertPreTokenizer"}};
  parts.decoder = {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}};
  WordPieceOptions options;
  if (data.unk_id) options.unk_token = vocabulary->content(*data.unk_id);
  parts.model = make_wordpiece(std::move(vocabulary), std::move(options), data.source);
}

}  // namespace

std::shared_ptr<const Tokenizer> Tokenizer::from_gguf(const GgufTokenizerData& data) {
  const std::string& source = data.source;
  TokenizerParts parts;
  parts.source = source;
  parts.chat_template = data.chat_template;
  bool bos_by_family = false;
  if (data.model == "gpt2") {
    const auto family = tokenizer_family(data.pre);
    if (!family) {
      bad_input("{}: the pre-tokenizer \"{}\" (tokenizer.ggml.pre) is not known; known are {}", source,
                printable(data.pre), tokenizer_family_names());
    }
    read_byte_level(data, *family, parts);
    bos_by_family = family->add_bos;
  } else if (data.model == "llama") {
    read_sentencepiece_bpe(data, parts);
    bos_by_family = data.bos_id.has_value();
  } else if (data.model == "bert") {
    read_wordpiece(data, parts);
  } else {
    bad_input(
        "{}: the tokenizer model \"{}\" is not supported; supported are \"gpt2\" (byte-level BPE), \"llama\" "
        "(SentencePiece BPE) and \"bert\" (WordPiece)",
        source, printable(data.model));
  }

  const auto named = [&](std::optional<int32_t> id, const char* what) {
    if (!id) return;
    const std::string content(parts.model->vocabulary().content(*id));
    if (content.empty()) bad_input("{}: {} is {}, which is no token of the vocabulary", source, what, *id);
    parts.make_special(content);
  };
  named(data.bos_id, "bos_token_id");
  named(data.eos_id, "eos_token_id");
  named(data.cls_id, "cls_token_id");
  named(data.sep_id, "seperator_token_id");
  parts.bos_id = data.bos_id;
  parts.eos_id = data.eos_id;
  parts.pad_id = data.pad_id;
  parts.unk_id = data.unk_id;
  std::vector<std::pair<std::string, int32_t>> prefix, suffix;
  const auto put = [&](std::optional<int32_t> id, const char* what, auto& list) {
    if (!id) bad_input("{}: the text is to have {}, but there is no {}_token_id", source, what, what);
    list.emplace_back(parts.model->vocabulary().content(*id), *id);
  };
  if (data.model == "bert") {
    put(data.cls_id ? data.cls_id : data.bos_id, "cls", prefix);
    put(data.sep_id ? data.sep_id : data.eos_id, "sep", suffix);
  } else {
    if (data.add_bos.value_or(bos_by_family)) put(data.bos_id, "bos", prefix);
    if (data.add_eos.value_or(false)) put(data.eos_id, "eos", suffix);
  }
  if (!prefix.empty() || !suffix.empty()) parts.post_processor = template_processing(prefix, suffix);
  return std::make_shared<const Tokenizer>(std::move(parts));
}

}  // namespace ft
