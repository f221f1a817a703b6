// What the loaders of the different file formats produce and Tokenizer is made from. Internal to engine/data.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/data/tokenizer_model.h"
#include "engine/data/tokenizer_vocabulary.h"

namespace ft {

struct TokenizerParts {
  std::string source;
  // Nodes of a tokenizer.json, whichever format they were read from.
  nlohmann::json normalizer, pre_tokenizer, post_processor, decoder;
  std::unique_ptr<TokenModel> model;
  std::vector<AddedToken> added;
  std::optional<int32_t> bos_id, eos_id, pad_id, unk_id;
  std::string chat_template;

  const AddedToken* find_added(std::string_view content) const {
    for (const AddedToken& token : added) {
      if (token.content == content) return &token;
    }
    return nullptr;
  }
  std::optional<int32_t> id(std::string_view content) const {
    if (const AddedToken* token = find_added(content)) return token->id;
    return model->vocabulary().id(content);
  }
  /// The content of an id that has one.
  std::string content(int32_t id) const {
    for (const AddedToken& token : added) {
      if (token.id == id) return token.content;
    }
    return std::string(model->vocabulary().content(id));
  }
  /// Makes `content` special unless it is an added token already; `content` must be in the vocabulary.
  void make_special(const std::string& content) {
    const auto token = model->vocabulary().id(content);
    if (token && !find_added(content)) added.push_back({.id = *token, .content = content, .special = true});
  }
};

/// tokenizer.json's text; `source` names the file.
TokenizerParts parts_from_tokenizer_json(std::string_view text, const std::string& source);
/// An object of contents and ids.
std::vector<std::pair<std::string, int32_t>> vocabulary_entries(const nlohmann::json& vocab,
                                                                const std::string& source);
/// An object of AddedToken's fields; `id` stands elsewhere in some files.
AddedToken added_token(const nlohmann::json& node, int32_t id, const std::string& source);

struct SideFiles;  // tokenizer_side_files.h

/// vocab.json and merges.txt of a folder.
TokenizerParts parts_from_vocab_and_merges(const SideFiles& side);
/// BERT's vocab.txt, a token a line.
TokenizerParts parts_from_vocab_txt(const std::filesystem::path& file, const SideFiles& side);
/// A tiktoken rank file: lines of a token in base64, a blank and its rank, which is its id.
TokenizerParts parts_from_ranks(std::string_view text, const std::string& source, const SideFiles& side);
/// A SentencePiece model as the tokenizer class of `side` uses it (null: as the sentencepiece library does).
TokenizerParts parts_from_sentencepiece(const std::string& bytes, const std::string& source,
                                        const SideFiles* side);

/// A pre-tokeniser family by its GGUF name: "gpt-2", "qwen2", "llama-bpe", "smollm", "falcon", "bloom" and
/// aliases.
struct TokenizerFamily {
  nlohmann::json normalizer, pre_tokenizer;
  bool ignore_merges = false;
  bool add_bos = false;
};
std::optional<TokenizerFamily> tokenizer_family(std::string_view name);
/// The names of tokenizer_family(), for messages.
std::string tokenizer_family_names();

/// Decoder nodes: bytes in GPT-2's alphabet; SentencePiece's blanks and byte tokens, and how many blanks at
/// the text's beginning are none of its own.
nlohmann::json byte_level_decoder();
nlohmann::json sentencepiece_decoder(int first_blanks);
/// Normaliser nodes: every `old` becomes `by`; BERT's.
nlohmann::json replace_node(const std::string& old, const std::string& by);
nlohmann::json bert_normalizer(bool lowercase);
nlohmann::json sequence_node(const char* key, nlohmann::json parts);
inline constexpr const char* kVisibleBlank = "\xE2\x96\x81";

/// A TemplateProcessing node that puts `prefix` and `suffix` (contents and ids) around a text.
nlohmann::json template_processing(const std::vector<std::pair<std::string, int32_t>>& prefix,
                                   const std::vector<std::pair<std::string, int32_t>>& suffix);

/// Writes tokenizer.json and tokenizer_config.json into `folder`. Throws Error.
void write_hf_files(const TokenizerParts& parts, const std::filesystem::path& folder);

}  // namespace ft
