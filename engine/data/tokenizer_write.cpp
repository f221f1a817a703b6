// Writes a tokenizer, wherever it came from, as the two files that Hugging Face's libraries load.
#include <algorithm>

#include "engine/data/tokenizer_parts.h"
#include "engine/io/text_file.h"

namespace ft {
namespace {

using nlohmann::json;

json flags(const AddedToken& token) {
  return {{"content", token.content}, {"single_word", token.single_word}, {"lstrip", token.lstrip},
          {"rstrip", token.rstrip},   {"normalized", token.normalized},   {"special", token.special}};
}

}  // namespace

void write_hf_files(const TokenizerParts& parts, const std::filesystem::path& folder) {
  std::vector<AddedToken> added = parts.added;
  std::sort(added.begin(), added.end(), [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  json list = json::array(), decoder = json::object();
  for (const AddedToken& token : added) {
    json node = flags(token);
    decoder[std::to_string(token.id)] = node;
    node["id"] = token.id;
    list.push_back(std::move(node));
  }
  const json tokenizer = {{"version", "1.0"},
                          {"truncation", nullptr},
                          {"padding", nullptr},
                          {"added_tokens", list},
                          {"normalizer", parts.normalizer},
                          {"pre_tokenizer", parts.pre_tokenizer},
                          {"post_processor", parts.post_processor},
                          {"decoder", parts.decoder},
                          {"model", parts.model->to_json()}};
  write_text_file(folder / "tokenizer.json", tokenizer.dump() + "\n");

  json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                 {"clean_up_tokenization_spaces", false},
                 {"added_tokens_decoder", decoder}};
  const auto name = [&](const char* key, std::optional<int32_t> id) {
    if (!id) return;
    std::string content(parts.model->vocabulary().content(*id));
    for (const AddedToken& token : added) {
      if (token.id == *id) content = token.content;
    }
    if (!content.empty()) config[key] = content;
  };
  name("bos_token", parts.bos_id);
  name("eos_token", parts.eos_id);
  name("pad_token", parts.pad_id);
  name("unk_token", parts.unk_id);
  if (!parts.chat_template.empty()) config["chat_template"] = parts.chat_template;
  write_text_file(folder / "tokenizer_config.json", config.dump(2) + "\n");
}

}  // namespace ft
