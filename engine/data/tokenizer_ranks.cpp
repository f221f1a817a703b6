// tiktoken's rank files: the tokens' bytes, each with its rank, which is its id. Which pairs merge follows
// from the ranks; how text is cut and which special tokens there are does not stand in the file.
#include <charconv>

#include "engine/core/check.h"
#include "engine/data/tokenizer_base64.h"
#include "engine/data/tokenizer_json.h"
#include "engine/data/tokenizer_parts.h"
#include "engine/data/tokenizer_side_files.h"
#include "engine/data/tokenizer_utf8.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

std::vector<std::pair<std::string, int32_t>> rank_entries(std::string_view text, const std::string& source) {
  std::vector<std::pair<std::string, int32_t>> entries;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const size_t blank = line.find(' ');
    const auto bytes = from_base64(line.substr(0, blank));
    int32_t rank = -1;
    if (blank != std::string_view::npos) {
      const char* last = line.data() + line.size();
      const auto [stop, error] = std::from_chars(line.data() + blank + 1, last, rank);
      if (error != std::errc() || stop != last) rank = -1;
    }
    if (!bytes || bytes->empty() || rank < 0) {
      bad_input("{}:{}: \"{}\" is not a token in base64, a blank and its rank", source, number,
                printable(line, 60));
    }
    std::string content;
    append_byte_level(content, *bytes);
    entries.emplace_back(std::move(content), rank);
  }
  if (entries.empty()) bad_input("{}: the file has no tokens", source);
  return entries;
}

/// Meta's own list; the ids go on behind the ranks.
std::vector<std::string> llama3_special() {
  std::vector<std::string> all = {"<|begin_of_text|>",
                                  "<|end_of_text|>",
                                  "<|reserved_special_token_0|>",
                                  "<|reserved_special_token_1|>",
                                  "<|finetune_right_pad_id|>",
                                  "<|reserved_special_token_2|>",
                                  "<|start_header_id|>",
                                  "<|end_header_id|>",
                                  "<|eom_id|>",
                                  "<|eot_id|>",
                                  "<|python_tag|>"};
  for (int i = 3; all.size() < 256; ++i) all.push_back(fmt::format("<|reserved_special_token_{}|>", i));
  return all;
}

std::vector<std::string> qwen_special() {
  std::vector<std::string> all = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
  for (int i = 0; i < 205; ++i) all.push_back(fmt::format("<|extra_{}|>", i));
  return all;
}

/// The known files, told by how many ranks they have.
struct Known {
  size_t ranks;
  const char* family;
  std::vector<std::string> (*special)();
  bool add_bos;
};
const Known kKnown[] = {{128000, "llama-bpe", llama3_special, true},
                        {151643, "qwen2", qwen_special, false},
                        {50256, "gpt-2", [] { return std::vector<std::string>{"<|endoftext|>"}; }, false}};

}  // namespace

TokenizerParts parts_from_ranks(std::string_view text, const std::string& source, const SideFiles& side) {
  auto entries = rank_entries(text, source);
  Known kind{0, "glm4", [] { return std::vector<std::string>(); }, false};
  for (const Known& known : kKnown) {
    if (known.ranks == entries.size()) kind = known;
  }
  const TokenizerFamily family = *tokenizer_family(kind.family);
  TokenizerParts parts;
  parts.source = source;
  parts.normalizer = family.normalizer;
  parts.pre_tokenizer = family.pre_tokenizer;
  parts.decoder = byte_level_decoder();
  auto vocabulary = std::make_unique<const Vocabulary>(std::move(entries), source);
  std::vector<uint32_t> ranks(static_cast<size_t>(vocabulary->size()));
  for (size_t id = 0; id < ranks.size(); ++id) ranks[id] = static_cast<uint32_t>(id);
  auto merges = merges_of_ranks(*vocabulary, ranks, source);
  parts.model = make_bpe(std::move(vocabulary), std::move(merges), {.ignore_merges = true}, source);
  add_listed_tokens(side, parts);
  if (parts.added.empty()) {
    int32_t next = parts.model->vocabulary().size();
    for (const std::string& content : kind.special()) {
      parts.added.push_back({.id = next++, .content = content, .special = true});
    }
  }
  add_special_behind(side, parts);
  apply_side_files(side, parts);
  if (!parts.bos_id && kind.add_bos) parts.bos_id = parts.id("<|begin_of_text|>");
  if (!parts.eos_id && kind.add_bos) parts.eos_id = parts.id("<|end_of_text|>");
  apply_add_tokens(side, parts, kind.add_bos);
  const auto mask = parts.id("[gMASK]"), start = parts.id("<sop>");
  if (side.tokenizer_class() == "ChatGLM4Tokenizer" && mask && start) {
    parts.post_processor = template_processing({{"[gMASK]", *mask}, {"<sop>", *start}}, {});
  }
  return parts;
}

}  // namespace ft
