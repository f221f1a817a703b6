// tokenizer.json, the one file that holds all of a tokenizer: its model here, its other nodes where they are
// used.
#include <algorithm>
#include <cmath>

#include "engine/core/check.h"
#include "engine/data/tokenizer_json.h"
#include "engine/data/tokenizer_parts.h"
#include "engine/io/printable.h"

namespace ft {
using nlohmann::json;

std::vector<std::pair<std::string, int32_t>> vocabulary_entries(const json& vocab,
                                                                const std::string& source) {
  std::vector<std::pair<std::string, int32_t>> entries;
  entries.reserve(vocab.size());
  for (const auto& [content, id] : vocab.items()) {
    entries.emplace_back(content, json_id(id, "\"" + content + "\"", source));
  }
  return entries;
}

AddedToken added_token(const json& node, int32_t id, const std::string& source) {
  AddedToken token;
  token.id = id;
  token.content = json_string(node, "content", source);
  token.special = json_bool(node, "special", false, source);
  token.single_word = json_bool(node, "single_word", false, source);
  token.lstrip = json_bool(node, "lstrip", false, source);
  token.rstrip = json_bool(node, "rstrip", false, source);
  token.normalized = json_bool(node, "normalized", !token.special, source);
  return token;
}

namespace {

/// "left right" or ["left", "right"].
MergeViews merge_views(const json& merges, const std::string& source) {
  MergeViews views;
  views.reserve(merges.size());
  const auto broken = [&] {
    bad_input("{}: merge {} is not two tokens (\"left right\" or [\"left\", \"right\"])", source,
              views.size() + 1);
  };
  for (const auto& merge : merges) {
    if (merge.is_string()) {
      const std::string_view line = merge.get_ref<const std::string&>();
      const size_t blank = line.find(' ');
      if (blank == std::string_view::npos || line.find(' ', blank + 1) != std::string_view::npos) broken();
      views.emplace_back(line.substr(0, blank), line.substr(blank + 1));
    } else {
      if (!merge.is_array() || merge.size() != 2 || !merge[0].is_string() || !merge[1].is_string()) broken();
      views.emplace_back(merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>());
    }
  }
  return views;
}

/// Whether the model's pieces are bytes: a ByteLevel step is among the pre-tokeniser's.
bool has_byte_level(const json& node) {
  if (json_or_null(node, "type") == "ByteLevel") return true;
  const json& parts = json_or_null(node, "pretokenizers");
  return parts.is_array() && std::any_of(parts.begin(), parts.end(), has_byte_level);
}

std::unique_ptr<TokenModel> bpe_from_json(const json& model, bool bytes, const std::string& source) {
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!json_optional_string(model, key, source).value_or("").empty()) {
      bad_input("{}: model.{} is not supported for BPE", source, key);
    }
  }
  const json& dropout = json_or_null(model, "dropout");
  if (!dropout.is_null() && dropout != 0)
    bad_input("{}: model.dropout is not supported; set it to null", source);
  BpeOptions options;
  options.bytes = bytes;
  options.byte_fallback = json_bool(model, "byte_fallback", false, source);
  options.ignore_merges = json_bool(model, "ignore_merges", false, source);
  options.fuse_unk = json_bool(model, "fuse_unk", false, source);
  options.unk_token = json_optional_string(model, "unk_token", source).value_or("");
  auto vocabulary = std::make_unique<const Vocabulary>(
      vocabulary_entries(json_object(model, "vocab", source), source), source);
  auto merges =
      merges_of_pairs(*vocabulary, merge_views(json_array(model, "merges", source), source), source);
  return make_bpe(std::move(vocabulary), std::move(merges), options, source);
}

std::unique_ptr<TokenModel> unigram_from_json(const json& model, const std::string& source) {
  UnigramOptions options;
  std::vector<std::pair<std::string, int32_t>> entries;
  for (const json& piece : json_array(model, "vocab", source)) {
    const auto id = static_cast<int32_t>(entries.size());
    if (!piece.is_array() || piece.size() != 2 || !piece[0].is_string() || !piece[1].is_number()) {
      bad_input("{}: model.vocab: entry {} is not a token and its score", source, id);
    }
    options.scores.push_back(piece[1].get<double>());
    if (!(std::abs(options.scores.back()) < 1e30)) {
      bad_input("{}: model.vocab: the score of token {} is out of range", source, id);
    }
    entries.emplace_back(piece[0].get<std::string>(), id);
  }
  options.byte_fallback = json_bool(model, "byte_fallback", false, source);
  const json& unk = json_or_null(model, "unk_id");
  if (!unk.is_null()) options.unk_id = json_id(unk, "unk_id", source);
  if (options.unk_id >= static_cast<int32_t>(entries.size())) {
    bad_input("{}: model.unk_id is {}, but there are {} tokens", source, options.unk_id, entries.size());
  }
  return make_unigram(std::make_unique<const Vocabulary>(std::move(entries), source), std::move(options));
}

std::unique_ptr<TokenModel> wordpiece_from_json(const json& model, const std::string& source) {
  WordPieceOptions options;
  options.unk_token = json_optional_string(model, "unk_token", source).value_or(options.unk_token);
  options.prefix = json_optional_string(model, "continuing_subword_prefix", source).value_or(options.prefix);
  const json& most = json_or_null(model, "max_input_chars_per_word");
  if (!most.is_null()) {
    options.max_characters = static_cast<size_t>(json_id(most, "max_input_chars_per_word", source));
  }
  auto vocabulary = std::make_unique<const Vocabulary>(
      vocabulary_entries(json_object(model, "vocab", source), source), source);
  return make_wordpiece(std::move(vocabulary), std::move(options), source);
}

}  // namespace

TokenizerParts parts_from_tokenizer_json(std::string_view text, const std::string& source) {
  const json file = parse_json(text, source);
  const json& model = json_object(file, "model", source);
  TokenizerParts parts;
  parts.source = source;
  parts.normalizer = json_or_null(file, "normalizer");
  parts.pre_tokenizer = json_or_null(file, "pre_tokenizer");
  parts.post_processor = json_or_null(file, "post_processor");
  parts.decoder = json_or_null(file, "decoder");
  // Old files leave the type out; only BPE has merges, only Unigram a list for its vocabulary.
  const char* guess = model.contains("merges")                  ? "BPE"
                      : json_or_null(model, "vocab").is_array() ? "Unigram"
                                                                : "WordPiece";
  const std::string type = json_optional_string(model, "type", source).value_or(guess);
  if (type == "BPE") {
    parts.model = bpe_from_json(model, has_byte_level(parts.pre_tokenizer), source);
  } else if (type == "Unigram") {
    parts.model = unigram_from_json(model, source);
  } else if (type == "WordPiece") {
    parts.model = wordpiece_from_json(model, source);
  } else {
    bad_input("{}: the tokenizer model {} is not supported; supported are BPE, Unigram and WordPiece", source,
              printable(type));
  }
  const json& added = json_or_null(file, "added_tokens");
  if (!added.is_null() && !added.is_array()) bad_input("{}: \"added_tokens\" should be a list", source);
  for (const json& node : added) {
    parts.added.push_back(
        added_token(node, json_id(json_or_null(node, "id"), "an added token", source), source));
  }
  return parts;
}

}  // namespace ft
