#include "engine/data/tokenizer_side_files.h"

#include <algorithm>
#include <unordered_set>

#include "engine/core/check.h"
#include "engine/data/tokenizer_json.h"
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

}  // namespace

SideFiles::SideFiles(const fs::path& folder)
    : folder(folder),
      config_path((folder / "tokenizer_config.json").string()),
      map_path((folder / "special_tokens_map.json").string()),
      added_path((folder / "added_tokens.json").string()),
      config(side_file(config_path)),
      map(side_file(map_path)),
      added(side_file(added_path)),
      model(side_file(folder / "config.json")) {}

std::optional<std::string> SideFiles::special(const char* key) const {
  if (auto content = token_content(config, key, config_path)) return content;
  return token_content(map, key, map_path);
}

std::vector<std::string> SideFiles::all_special() const {
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

std::string SideFiles::tokenizer_class() const {
  std::string name = json_optional_string(config, "tokenizer_class", config_path).value_or("");
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  return name;
}

void add_tokens_of_config(const SideFiles& side, TokenizerParts& parts) {
  const json& decoder = json_or_null(side.config, "added_tokens_decoder");
  if (decoder.is_null()) return;
  if (!decoder.is_object()) bad_input("{}: \"added_tokens_decoder\" should be an object", side.config_path);
  std::unordered_set<std::string> known;
  std::unordered_set<int32_t> taken;  // what the tokenizer itself adds stands
  for (const AddedToken& token : parts.added) known.insert(token.content), taken.insert(token.id);
  for (const auto& [key, node] : decoder.items()) {
    const bool digits =
        !key.empty() && key.size() < 10 && key.find_first_not_of("0123456789") == std::string::npos;
    if (!digits) {
      bad_input("{}: added_tokens_decoder: \"{}\" is not a token id", side.config_path, printable(key));
    }
    AddedToken token = added_token(node, std::stoi(key), side.config_path);
    if (taken.contains(token.id)) continue;
    if (known.insert(token.content).second) parts.added.push_back(std::move(token));
  }
}

void add_listed_tokens(const SideFiles& side, TokenizerParts& parts) {
  add_tokens_of_config(side, parts);
  if (side.added.is_null()) return;
  for (const auto& [content, id] : vocabulary_entries(side.added, side.added_path)) {
    if (!parts.id(content)) parts.added.push_back({.id = id, .content = content, .normalized = true});
  }
}

void add_special_behind(const SideFiles& side, TokenizerParts& parts) {
  int32_t next = parts.model->vocabulary().size();
  for (const AddedToken& token : parts.added) next = std::max(next, token.id + 1);
  for (const std::string& content : side.all_special()) {
    if (!parts.id(content)) parts.added.push_back({.id = next++, .content = content, .special = true});
  }
}

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

void apply_add_tokens(const SideFiles& side, TokenizerParts& parts, bool bos) {
  std::vector<std::pair<std::string, int32_t>> prefix, suffix;
  const auto put = [&](const char* key, bool fallback, const char* name, std::optional<int32_t> id,
                       auto& list) {
    if (!json_bool(side.config, key, fallback, side.config_path)) return;
    if (!id) bad_input("{}: {} is true, but there is no {}", side.config_path, key, name);
    list.emplace_back(parts.content(*id), *id);
  };
  put("add_bos_token", bos && parts.bos_id, "bos_token", parts.bos_id, prefix);
  put("add_eos_token", false, "eos_token", parts.eos_id, suffix);
  if (!prefix.empty() || !suffix.empty()) parts.post_processor = template_processing(prefix, suffix);
}

}  // namespace ft
