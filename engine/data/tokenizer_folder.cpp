// Tokenizer folders: which files count, and what the ones beside the tokenizer say about special tokens and
// the chat template.
#include <algorithm>
#include <unordered_set>

#include "engine/core/check.h"
#include "engine/data/tokenizer.h"
#include "engine/data/tokenizer_json.h"
#include "engine/data/tokenizer_parts.h"
#include "engine/io/printable.h"
#include "engine/io/text_file.h"

namespace ft {
namespace fs = std::filesystem;
using nlohmann::json;
namespace {

/// A file beside the tokenizer; null if it is not there.
json side_file(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return nullptr;
  json node = read_json_file(path);
  if (!node.is_object()) bad_input("{}: expected an object, got {}", path.string(), node.type_name());
  return node;
}

/// The content of a token that is given as a string or as {"content": …}; none where it is missing or null.
std::optional<std::string> token_content(const json& node, const char* key, const std::string& source) {
  const json& value = json_or_null(node, key);
  if (value.is_object()) return json_string(value, "content", source);
  return json_optional_string(node, key, source);
}

/// The files of a folder besides the tokenizer proper.
struct SideFiles {
  explicit SideFiles(const fs::path& folder)
      : folder(folder),
        config_path((folder / "tokenizer_config.json").string()),
        map_path((folder / "special_tokens_map.json").string()),
        config(side_file(config_path)),
        map(side_file(map_path)),
        model(side_file(folder / "config.json")) {}

  std::optional<std::string> special(const char* key) const {
    if (auto content = token_content(config, key, config_path)) return content;
    return token_content(map, key, map_path);
  }
  /// Every token that the files call special by name, in the order in which transformers adds them.
  std::vector<std::string> all_special() const {
    std::vector<std::string> all;
    for (const char* key :
         {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}) {
      if (auto content = special(key)) all.push_back(*content);
    }
    for (const json* node : {&config, &map}) {
      const json& more = json_or_null(*node, "additional_special_tokens");
      if (!more.is_array()) continue;
      for (const json& token : more) {
        if (token.is_string()) all.push_back(token.get<std::string>());
        if (token.is_object()) all.push_back(json_string(token, "content", config_path));
      }
    }
    return all;
  }

  fs::path folder;
  std::string config_path, map_path;
  json config, map, model;
};

void add_tokens_of_config(const SideFiles& side, TokenizerParts& parts) {
  const json& decoder = json_or_null(side.config, "added_tokens_decoder");
  if (decoder.is_null()) return;
  if (!decoder.is_object()) bad_input("{}: \"added_tokens_decoder\" should be an object", side.config_path);
  std::unordered_set<std::string> known;
  for (const AddedToken& token : parts.added) known.insert(token.content);
  for (const auto& [key, node] : decoder.items()) {
    const bool digits =
        !key.empty() && key.size() < 10 && key.find_first_not_of("0123456789") == std::string::npos;
    if (!digits) {
      bad_input("{}: added_tokens_decoder: \"{}\" is not a token id", side.config_path, printable(key));
    }
    AddedToken token = added_token(node, std::stoi(key), side.config_path);
    if (known.insert(token.content).second) parts.added.push_back(std::move(token));
  }
}

std::string chat_template_of(const SideFiles& side) {
  std::error_code ignored;
  const fs::path file = side.folder / "chat_template.jinja";
  if (fs::exists(file, ignored)) return read_text_file(file);
  const json& node = json_or_null(side.config, "chat_template");
  if (node.is_string()) return node.get<std::string>();
  if (!node.is_array()) return {};
  for (const json& named : node) {  // several, each with a name
    if (json_string(named, "name", side.config_path) == "default") {
      return json_string(named, "template", side.config_path);
    }
  }
  return {};
}

/// bos, eos, pad, unk and the chat template. A model's config.json counts where no tokenizer file names the
/// token; where nothing at all names an end, a special <|endoftext|> is it, as in GPT-2's own folder.
void apply_side_files(const SideFiles& side, TokenizerParts& parts) {
  for (const std::string& content : side.all_special()) parts.make_special(content);
  const auto resolve = [&](const char* name, const char* model_key) -> std::optional<int32_t> {
    if (const auto content = side.special(name)) return parts.id(*content);
    json id = json_or_null(side.model, model_key);
    if (id.is_array() && !id.empty()) id = id[0];
    if (!id.is_number_integer()) return std::nullopt;
    const int32_t value = json_id(id, model_key, (side.folder / "config.json").string());
    for (const AddedToken& token : parts.added) {
      if (token.id == value) return value;
    }
    if (parts.model->vocabulary().content(value).empty()) return std::nullopt;
    return value;
  };
  parts.bos_id = resolve("bos_token", "bos_token_id");
  parts.eos_id = resolve("eos_token", "eos_token_id");
  parts.pad_id = resolve("pad_token", "pad_token_id");
  parts.unk_id = resolve("unk_token", "unk_token_id");
  const auto eos = side.special("eos_token");
  if (eos && !parts.eos_id) {
    bad_input("{}: eos_token \"{}\" is not a token of the vocabulary", side.config_path, printable(*eos));
  }
  const AddedToken* end = parts.find_added("<|endoftext|>");
  if (!parts.eos_id && end && end->special) parts.eos_id = end->id;
  parts.chat_template = chat_template_of(side);
}

/// The pre-tokeniser of a folder without tokenizer.json, by the class that its files name.
std::string family_of(const SideFiles& side) {
  std::string name = json_optional_string(side.config, "tokenizer_class", side.config_path).value_or("");
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  if (name == "GPT2Tokenizer") return "gpt-2";
  if (name == "Qwen2Tokenizer") return "qwen2";
  if (!name.empty()) {
    bad_input(
        "{}: tokenizer_class \"{}\" with vocab.json and merges.txt is not supported; supported are "
        "GPT2Tokenizer and Qwen2Tokenizer, or a folder with tokenizer.json",
        side.config_path, printable(name));
  }
  const std::string model =
      json_optional_string(side.model, "model_type", (side.folder / "config.json").string()).value_or("");
  return model.starts_with("qwen2") || model.starts_with("qwen3") ? "qwen2" : "gpt-2";
}

/// The lines of merges.txt: line ends of either kind, an optional "#version" line, blank lines.
MergeViews merge_lines(std::string_view text, const std::string& source) {
  MergeViews views;
  for (size_t line_number = 1; !text.empty(); ++line_number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (line.ends_with('\r') || line.ends_with(' ')) line.remove_suffix(1);
    if (line.empty() || line.starts_with("#version")) continue;
    const size_t blank = line.find(' ');
    if (blank == std::string_view::npos || blank == 0 ||
        line.find(' ', blank + 1) != std::string_view::npos) {
      bad_input("{}:{}: \"{}\" is not two tokens with a blank between them", source, line_number,
                printable(line));
    }
    views.emplace_back(line.substr(0, blank), line.substr(blank + 1));
  }
  return views;
}

TokenizerParts parts_from_vocab_and_merges(const SideFiles& side) {
  const fs::path vocab_path = side.folder / "vocab.json", merges_path = side.folder / "merges.txt";
  const std::string vocab_source = vocab_path.string(), merges_text = read_text_file(merges_path);
  const json vocab = read_json_file(vocab_path);
  if (!vocab.is_object()) bad_input("{}: expected an object of tokens and ids", vocab_source);
  const TokenizerFamily family = *tokenizer_family(family_of(side));

  TokenizerParts parts;
  parts.source = side.folder.string();
  parts.normalizer = family.normalizer;
  parts.pre_tokenizer = family.pre_tokenizer;
  if (json_bool(side.config, "add_prefix_space", false, side.config_path) &&
      parts.pre_tokenizer["type"] == "ByteLevel") {
    parts.pre_tokenizer["add_prefix_space"] = true;
  }
  parts.model =
      make_bpe(std::make_unique<const Vocabulary>(vocabulary_entries(vocab, vocab_source), vocab_source),
               merge_lines(merges_text, merges_path.string()), {}, merges_path.string());
  add_tokens_of_config(side, parts);
  // What the files name as special without giving it an id goes behind the vocabulary.
  int32_t next = parts.model->vocabulary().size();
  for (const AddedToken& token : parts.added) next = std::max(next, token.id + 1);
  for (const std::string& content : side.all_special()) {
    if (!parts.id(content)) parts.added.push_back({.id = next++, .content = content, .special = true});
  }
  parts.make_special("<|endoftext|>");  // both classes' default bos, eos and unk
  return parts;
}

/// add_bos_token / add_eos_token, which count where no tokenizer.json says more.
void apply_add_tokens(const SideFiles& side, TokenizerParts& parts) {
  std::vector<std::pair<std::string, int32_t>> prefix, suffix;
  const auto put = [&](const char* key, const char* token, std::optional<int32_t> id, auto& list) {
    if (!json_bool(side.config, key, false, side.config_path)) return;
    const auto content = side.special(token);
    if (!id || !content) bad_input("{}: {} is true, but there is no {}", side.config_path, key, token);
    list.emplace_back(*content, *id);
  };
  put("add_bos_token", "bos_token", parts.bos_id, prefix);
  put("add_eos_token", "eos_token", parts.eos_id, suffix);
  if (!prefix.empty() || !suffix.empty()) parts.post_processor = template_processing(prefix, suffix);
}

}  // namespace

std::shared_ptr<const Tokenizer> Tokenizer::open(const fs::path& path) {
  std::error_code error;
  const bool is_folder = fs::is_directory(path, error);
  if (!is_folder && !fs::exists(path, error)) {
    bad_input("{}: no such file or folder; expected a tokenizer folder or a tokenizer.json", path.string());
  }
  const fs::path folder = is_folder ? path : (path.has_parent_path() ? path.parent_path() : fs::path("."));
  const fs::path tokenizer_json = is_folder ? path / "tokenizer.json" : path;
  if (is_folder && !fs::exists(tokenizer_json, error)) {
    if (!fs::exists(folder / "vocab.json", error) || !fs::exists(folder / "merges.txt", error)) {
      bad_input("{}: there is no tokenizer that is supported (tokenizer.json, or vocab.json with merges.txt)",
                path.string());
    }
    const SideFiles side(folder);
    TokenizerParts parts = parts_from_vocab_and_merges(side);
    apply_side_files(side, parts);
    apply_add_tokens(side, parts);
    return std::make_shared<const Tokenizer>(std::move(parts));
  }
  if (tokenizer_json.extension() != ".json") {
    bad_input("{}: expected a tokenizer.json or a folder with one", path.string());
  }
  TokenizerParts parts = parts_from_tokenizer_json(read_text_file(tokenizer_json), tokenizer_json.string());
  const SideFiles side(folder);
  add_tokens_of_config(side, parts);
  apply_side_files(side, parts);
  return std::make_shared<const Tokenizer>(std::move(parts));
}

}  // namespace ft
