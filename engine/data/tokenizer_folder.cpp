// Tokenizer folders and files: which of them count, and the kinds that need more than one file.
#include <algorithm>
#include <array>

#include "engine/core/check.h"
#include "engine/data/open_tokenizer.h"
#include "engine/data/tokenizer.h"
#include "engine/data/tokenizer_json.h"
#include "engine/data/tokenizer_parts.h"
#include "engine/data/tokenizer_sentencepiece.h"
#include "engine/data/tokenizer_side_files.h"
#include "engine/io/printable.h"
#include "engine/io/text_file.h"

namespace ft {
namespace fs = std::filesystem;
using nlohmann::json;
namespace {

/// What may be a folder's tokenizer, in the order in which it is looked for.
constexpr std::array kMainFiles = {"tokenizer.json",          "vocab.json",      "vocab.txt",
                                   "ice_text.model",          "tokenizer.model", "spiece.model",
                                   "sentencepiece.bpe.model", "qwen.tiktoken",   "tokenizer.tiktoken"};

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

/// The lines of a file with line ends of either kind: line(text, number), empty ones too.
template <class Line>
void for_each_line(std::string_view text, Line&& line) {
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view one = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (one.ends_with('\r')) one.remove_suffix(1);
    line(one, number);
  }
}

/// The pre-tokeniser of a folder without tokenizer.json, by the class that its files name.
std::string family_of(const SideFiles& side) {
  const std::string name = side.tokenizer_class();
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

/// The lines of merges.txt: an optional "#version" line, blank lines.
MergeViews merge_lines(std::string_view text, const std::string& source) {
  MergeViews views;
  for_each_line(text, [&](std::string_view line, size_t number) {
    while (line.ends_with(' ')) line.remove_suffix(1);
    if (line.empty() || line.starts_with("#version")) return;
    const size_t blank = line.find(' ');
    if (blank == std::string_view::npos || blank == 0 ||
        line.find(' ', blank + 1) != std::string_view::npos) {
      bad_input("{}:{}: \"{}\" is not two tokens with a blank between them", source, number, printable(line));
    }
    views.emplace_back(line.substr(0, blank), line.substr(blank + 1));
  });
  return views;
}

TokenizerParts parts_from_hf_json(const fs::path& file, const SideFiles& side) {
  TokenizerParts parts = parts_from_tokenizer_json(read_text_file(file), file.string());
  add_tokens_of_config(side, parts);
  apply_side_files(side, parts);
  return parts;
}

/// `alone`: the file was asked for, not its folder.
TokenizerParts parts_from_file(const fs::path& file, bool alone) {
  const std::string name = file.filename().string();
  const SideFiles side(file.has_parent_path() ? file.parent_path() : fs::path("."));
  if (name == "vocab.json" || name == "merges.txt") return parts_from_vocab_and_merges(side);
  if (file.extension() == ".json") return parts_from_hf_json(file, side);
  if (file.extension() == ".txt") return parts_from_vocab_txt(file, side);
  if (file.extension() != ".model" && file.extension() != ".tiktoken") {
    bad_input(
        "{}: expected a folder with a tokenizer, or a tokenizer.json, vocab.txt, SentencePiece .model, "
        ".tiktoken "
        "or .gguf file",
        file.string());
  }
  const std::string text = read_text_file(file);
  if (!is_sentencepiece(text)) return parts_from_ranks(text, file.string(), side);
  return parts_from_sentencepiece(text, file.string(), alone || !side.speak() ? nullptr : &side);
}

}  // namespace

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
  parts.decoder = byte_level_decoder();
  if (json_bool(side.config, "add_prefix_space", false, side.config_path) &&
      parts.pre_tokenizer["type"] == "ByteLevel") {
    parts.pre_tokenizer["add_prefix_space"] = true;
  }
  auto vocabulary = std::make_unique<const Vocabulary>(vocabulary_entries(vocab, vocab_source), vocab_source);
  auto merges =
      merges_of_pairs(*vocabulary, merge_lines(merges_text, merges_path.string()), merges_path.string());
  parts.model = make_bpe(std::move(vocabulary), std::move(merges), {}, merges_path.string());
  add_listed_tokens(side, parts);
  add_special_behind(side, parts);
  parts.make_special("<|endoftext|>");  // both classes' default bos, eos and unk
  apply_side_files(side, parts);
  apply_add_tokens(side, parts, false);
  return parts;
}

TokenizerParts parts_from_vocab_txt(const fs::path& file, const SideFiles& side) {
  const std::string source = file.string(), name = side.tokenizer_class();
  if (!name.empty() && name != "BertTokenizer" && name != "DistilBertTokenizer" &&
      name != "ElectraTokenizer") {
    bad_input("{}: tokenizer_class \"{}\" with vocab.txt is not supported; supported is BertTokenizer",
              side.config_path, printable(name));
  }
  std::vector<std::pair<std::string, int32_t>> entries;
  for_each_line(read_text_file(file), [&](std::string_view line, size_t) {
    entries.emplace_back(line, static_cast<int32_t>(entries.size()));
  });
  TokenizerParts parts;
  parts.source = source;
  parts.normalizer = bert_normalizer(json_bool(side.config, "do_lower_case", true, side.config_path));
  parts.normalizer["handle_chinese_chars"] =
      json_bool(side.config, "tokenize_chinese_chars", true, side.config_path);
  if (const json& strip = json_or_null(side.config, "strip_accents"); strip.is_boolean()) {
    parts.normalizer["strip_accents"] = strip;
  }
  parts.pre_tokenizer = {{"type", "BertPreTokenizer"}};
  parts.decoder = {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}};
  const auto named = [&](const char* key, const char* standard) {
    return side.special(key).value_or(standard);
  };
  const std::string cls = named("cls_token", "[CLS]"), sep = named("sep_token", "[SEP]");
  parts.model = make_wordpiece(std::make_unique<const Vocabulary>(std::move(entries), source),
                               {.unk_token = named("unk_token", "[UNK]")}, source);
  add_listed_tokens(side, parts);
  for (const std::string& content :
       {named("pad_token", "[PAD]"), named("unk_token", "[UNK]"), cls, sep, named("mask_token", "[MASK]")}) {
    parts.make_special(content);
  }
  if (!side.speak()) {
    for (AddedToken& token : parts.added) token.hidden = true;
  }
  const auto cls_id = parts.id(cls), sep_id = parts.id(sep);
  if (!cls_id || !sep_id) {
    bad_input("{}: the tokens \"{}\" and \"{}\" that stand around a text are not there", source,
              printable(cls), printable(sep));
  }
  parts.post_processor = template_processing({{cls, *cls_id}}, {{sep, *sep_id}});
  apply_side_files(side, parts);
  if (!parts.pad_id) parts.pad_id = parts.id(named("pad_token", "[PAD]"));
  if (!parts.unk_id) parts.unk_id = parts.id(named("unk_token", "[UNK]"));
  return parts;
}

fs::path find_tokenizer_file(const fs::path& folder) {
  for (const char* name : kMainFiles) {
    if (is_there(folder / name)) return folder / name;
  }
  return {};
}

std::span<const char* const> tokenizer_file_names() {
  static const std::vector<const char*> names = [] {
    std::vector<const char*> all(kMainFiles.begin(), kMainFiles.end());
    for (const char* beside : {"merges.txt", "tokenizer_config.json", "special_tokens_map.json",
                               "added_tokens.json", "chat_template.jinja", "chat_template.json"}) {
      all.push_back(beside);
    }
    return all;
  }();
  return names;
}

std::shared_ptr<const Tokenizer> Tokenizer::open(const fs::path& path) {
  if (!is_there(path)) {
    bad_input("{}: no such file or folder; expected a tokenizer folder or file", path.string());
  }
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    return std::make_shared<const Tokenizer>(parts_from_file(path, true));
  }
  const fs::path file = find_tokenizer_file(path);
  if (file.empty() || (file.filename() == "vocab.json" && !is_there(path / "merges.txt"))) {
    bad_input(
        "{}: there is no tokenizer that is supported (tokenizer.json, vocab.json with merges.txt, vocab.txt, "
        "tokenizer.model, spiece.model or a .tiktoken file)",
        path.string());
  }
  return std::make_shared<const Tokenizer>(parts_from_file(file, false));
}

}  // namespace ft
