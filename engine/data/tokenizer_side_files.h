// What the files beside a tokenizer say: special tokens, added tokens, the chat template, the class.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/data/tokenizer_parts.h"

namespace ft {

struct SideFiles {
  explicit SideFiles(const std::filesystem::path& folder);

  /// The content of bos_token, eos_token, …
  std::optional<std::string> special(const char* key) const;
  /// Every token that the files call special by name, in the order in which transformers adds them.
  std::vector<std::string> all_special() const;
  /// tokenizer_class without "Fast"; empty where nothing says it.
  std::string tokenizer_class() const;
  /// Whether a Hugging Face class speaks for the tokenizer, not only its bare file.
  bool speak() const { return !config.is_null() || !map.is_null() || !model.is_null(); }

  std::filesystem::path folder;
  std::string config_path, map_path, added_path;
  nlohmann::json config, map, added, model;  // null where the file is not there
};

/// tokenizer_config.json's added_tokens_decoder, except for ids that `parts` has added already.
void add_tokens_of_config(const SideFiles& side, TokenizerParts& parts);
/// The same and added_tokens.json, for tokenizers that hold no added tokens of their own.
void add_listed_tokens(const SideFiles& side, TokenizerParts& parts);

/// What the files name as special without giving it an id goes behind the vocabulary.
void add_special_behind(const SideFiles& side, TokenizerParts& parts);

/// bos, eos, pad, unk and the chat template. A model's config.json counts where no tokenizer file names the
/// token; where nothing at all names an end, a special <|endoftext|> is it, as in GPT-2's own folder.
void apply_side_files(const SideFiles& side, TokenizerParts& parts);

/// add_bos_token / add_eos_token, which count where no tokenizer.json says more; `bos`: where they do not
/// say.
void apply_add_tokens(const SideFiles& side, TokenizerParts& parts, bool bos);

}  // namespace ft
