// Tokenizers out of GGUF metadata.
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

}  // namespace

std::shared_ptr<const Tokenizer> Tokenizer::from_gguf(const GgufTokenizerData& data) {
  const std::string& source = data.source;
  if (data.model != "gpt2") {
    bad_input("{}: the tokenizer model \"{}\" is not supported; supported is byte-level BPE (\"gpt2\")",
              source, printable(data.model));
  }
  const auto family = tokenizer_family(data.pre);
  if (!family) {
    bad_input("{}: the pre-tokenizer \"{}\" (tokenizer.ggml.pre) is not known; known are {}", source,
              printable(data.pre), tokenizer_family_names());
  }
  if (!data.token_type.empty() && data.token_type.size() != data.tokens.size()) {
    bad_input("{}: {} tokens but {} token types", source, data.tokens.size(), data.token_type.size());
  }

  TokenizerParts parts;
  parts.source = source;
  parts.normalizer = family->normalizer;
  parts.pre_tokenizer = family->pre_tokenizer;
  parts.chat_template = data.chat_template;
  std::vector<std::pair<std::string, int32_t>> entries;
  entries.reserve(data.tokens.size());
  for (size_t i = 0; i < data.tokens.size(); ++i) {
    const std::string& content = data.tokens[i];
    const int32_t type = data.token_type.empty() ? kNormal : data.token_type[i];
    if (type < kNormal || type > kByte) {
      bad_input("{}: token {} has the unknown type {}", source, i, type);
    }
    if (type == kUnused || is_padding(content, i)) continue;
    const auto id = static_cast<int32_t>(i);
    entries.emplace_back(content, id);
    if (content.empty()) continue;
    if (type == kControl || type == kUnknown) {
      parts.added.push_back({.id = id, .content = content, .special = true});
    } else if (type == kUserDefined) {
      parts.added.push_back({.id = id, .content = content});
    }
  }
  MergeViews merges;
  merges.reserve(data.merges.size());
  for (size_t i = 0; i < data.merges.size(); ++i) {
    const std::string_view line = data.merges[i];
    const size_t blank = line.find(' ');
    if (blank == std::string_view::npos || line.find(' ', blank + 1) != std::string_view::npos) {
      bad_input("{}: merge {}, \"{}\", is not two tokens with a blank between them", source, i + 1,
                printable(line));
    }
    merges.emplace_back(line.substr(0, blank), line.substr(blank + 1));
  }
  BpeOptions options;
  options.ignore_merges = family->ignore_merges;
  parts.model =
      make_bpe(std::make_unique<const Vocabulary>(std::move(entries), source), merges, options, source);

  const auto named = [&](std::optional<int32_t> id, const char* what) {
    if (!id) return;
    const std::string content(parts.model->vocabulary().content(*id));
    if (content.empty()) bad_input("{}: {} is {}, which is no token of the vocabulary", source, what, *id);
    parts.make_special(content);
  };
  named(data.bos_id, "bos_token_id");
  named(data.eos_id, "eos_token_id");
  parts.bos_id = data.bos_id;
  parts.eos_id = data.eos_id;
  parts.pad_id = data.pad_id;
  parts.unk_id = data.unk_id;
  if (data.add_bos.value_or(family->add_bos)) {
    if (!data.bos_id) bad_input("{}: the text is to begin with bos, but there is no bos_token_id", source);
    parts.post_processor = template_processing(
        {{std::string(parts.model->vocabulary().content(*data.bos_id)), *data.bos_id}}, {});
  }
  return std::make_shared<const Tokenizer>(std::move(parts));
}

}  // namespace ft
