// How each family cuts text, for files that only give the family's name (GGUF) or class (vocab.json).
//
// The nodes are what the family's own tokenizer.json holds, so that reading one and writing one share a
// format.
#include <array>

#include "engine/data/tokenizer_parts.h"

namespace ft {
namespace {

using nlohmann::json;

json byte_level(bool use_regex) {
  return {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

json sequence(json parts) {
  return sequence_node("pretokenizers", std::move(parts));
}

/// A pattern that isolates words, then bytes.
json split_words(const char* pattern) {
  const json split = {
      {"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
  return sequence({split, byte_level(false)});
}

json gpt2() {
  return byte_level(true);
}

/// Each digit alone.
json single_digits() {
  return sequence({{{"type", "Digits"}, {"individual_digits", true}}, byte_level(true)});
}

/// Up to three digits together, line ends with what stands before them.
json llama3() {
  return split_words(
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)");
}

json qwen2() {
  return split_words(
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)");
}

/// Punctuation apart, digits by three; the last two steps see bytes as characters, as in Falcon's own file.
json falcon() {
  return sequence({{{"type", "Punctuation"}, {"behavior", "Contiguous"}},
                   byte_level(true),
                   {{"type", "Digits"}, {"individual_digits", false}},
                   {{"type", "Split"},
                    {"pattern", {{"Regex", "[0-9][0-9][0-9]"}}},
                    {"behavior", "Isolated"},
                    {"invert", false}}});
}

/// Whatever stands between blanks and sentence marks of many scripts.
json bloom() {
  return split_words(R"( ?[^(\s|[.,!?…。，、।۔،])]+)");
}

struct Row {
  const char* names;  // separated and surrounded by blanks; the first is the one that messages show
  json (*pre_tokenizer)();
  bool nfc, ignore_merges, add_bos;
};
constexpr std::array kRows = {
    Row{" gpt-2 phi-2 mpt olmo jais ", gpt2, false, false, false},
    Row{" smollm starcoder refact codeshell ", single_digits, false, false, false},
    Row{" qwen2 deepseek-r1-qwen ", qwen2, true, false, false},
    Row{" llama-bpe llama3 llama-v3 ", llama3, false, true, true},
    Row{" glm4 chatglm-bpe ", llama3, false, false, false},
    Row{" falcon ", falcon, false, false, false},
    Row{" bloom ", bloom, false, false, false},
};

}  // namespace

std::optional<TokenizerFamily> tokenizer_family(std::string_view name) {
  if (name.empty() || name.find(' ') != std::string_view::npos) return std::nullopt;
  const std::string key = " " + std::string(name) + " ";
  for (const Row& row : kRows) {
    if (std::string_view(row.names).find(key) == std::string_view::npos) continue;
    TokenizerFamily family;
    if (row.nfc) family.normalizer = {{"type", "NFC"}};
    family.pre_tokenizer = row.pre_tokenizer();
    family.ignore_merges = row.ignore_merges;
    family.add_bos = row.add_bos;
    return family;
  }
  return std::nullopt;
}

std::string tokenizer_family_names() {
  std::string all;
  for (const Row& row : kRows) {
    const std::string_view names = std::string_view(row.names).substr(1);
    all.append(all.empty() ? "" : ", ").append(names.substr(0, names.find(' ')));
  }
  return all;
}

json sequence_node(const char* key, json parts) {
  return {{"type", "Sequence"}, {key, std::move(parts)}};
}

json replace_node(const std::string& old, const std::string& by) {
  return {{"type", "Replace"}, {"pattern", {{"String", old}}}, {"content", by}};
}

json bert_normalizer(bool lowercase) {
  return {{"type", "BertNormalizer"},
          {"clean_text", true},
          {"handle_chinese_chars", true},
          {"strip_accents", nullptr},
          {"lowercase", lowercase}};
}

json byte_level_decoder() {
  return {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
}

json sentencepiece_decoder(int first_blanks) {
  json parts = {replace_node(kVisibleBlank, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
  if (first_blanks > 0) {
    parts.push_back({{"type", "Strip"}, {"content", " "}, {"start", first_blanks}, {"stop", 0}});
  }
  return sequence_node("decoders", std::move(parts));
}

json template_processing(const std::vector<std::pair<std::string, int32_t>>& prefix,
                         const std::vector<std::pair<std::string, int32_t>>& suffix) {
  json single = json::array(), pair = json::array(), tokens = json::object();
  const auto put = [&](const std::vector<std::pair<std::string, int32_t>>& list, json& out, int type) {
    for (const auto& [content, id] : list) {
      out.push_back({{"SpecialToken", {{"id", content}, {"type_id", type}}}});
      tokens[content] = {{"id", content}, {"ids", {id}}, {"tokens", {content}}};
    }
  };
  const auto put_sequence = [](const char* name, json& out, int type) {
    out.push_back({{"Sequence", {{"id", name}, {"type_id", type}}}});
  };
  put(prefix, single, 0), put_sequence("A", single, 0), put(suffix, single, 0);
  pair = single;
  put(prefix, pair, 1), put_sequence("B", pair, 1), put(suffix, pair, 1);
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", tokens}};
}

}  // namespace ft
