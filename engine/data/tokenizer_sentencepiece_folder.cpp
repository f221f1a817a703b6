// What Hugging Face's tokenizer classes put around a SentencePiece model: special and extra tokens, their own
// rewriting of the text, bos and eos.
#include <algorithm>
#include <array>

#include "engine/core/check.h"
#include "engine/data/tokenizer_json.h"
#include "engine/data/tokenizer_parts.h"
#include "engine/data/tokenizer_sentencepiece.h"
#include "engine/data/tokenizer_side_files.h"
#include "engine/io/printable.h"

namespace ft {
using nlohmann::json;
namespace {

// Classes whose ids are not the file's.
constexpr std::array kOtherIds = {"XLMRobertaTokenizer", "CamembertTokenizer", "BarthezTokenizer",
                                  "MBartTokenizer",      "MBart50Tokenizer",   "NllbTokenizer",
                                  "XGLMTokenizer",       "PegasusTokenizer",   "PLBartTokenizer",
                                  "M2M100Tokenizer",     "XLNetTokenizer",     "FNetTokenizer"};

/// Line ends, tabs and runs of 2 to 80 blanks are tokens of ChatGLM-6B; its code spells them so.
json chatglm_rewriting(bool back) {
  json parts = json::array();
  const auto put = [&](const std::string& text, const std::string& token) {
    parts.push_back(back ? replace_node(token, text) : replace_node(text, token));
  };
  put("\n", "<n>");
  put("\t", "<|tab|>");
  for (size_t n = 80; n >= 2; --n) put(std::string(n, ' '), fmt::format("<|blank_{}|>", n));
  return parts;
}

/// ALBERT's code before SentencePiece sees the text.
json albert_rewriting(const SideFiles& side) {
  json parts = {replace_node("``", "\""), replace_node("''", "\"")};
  if (!json_bool(side.config, "keep_accents", false, side.config_path)) {
    parts.push_back({{"type", "NFKD"}});
    parts.push_back({{"type", "StripAccents"}});
  }
  if (json_bool(side.config, "do_lower_case", true, side.config_path))
    parts.push_back({{"type", "Lowercase"}});
  return sequence_node("normalizers", std::move(parts));
}

/// Appends special tokens behind all that are there.
void append_special(TokenizerParts& parts, const std::vector<std::string>& contents) {
  int32_t next = parts.model->vocabulary().size();
  for (const AddedToken& token : parts.added) next = std::max(next, token.id + 1);
  for (const std::string& content : contents) {
    if (parts.id(content)) continue;
    parts.added.push_back({.id = next++, .content = content, .special = true});
  }
}

/// Puts the tokens around a text, those of them that are there.
void surround(TokenizerParts& parts, const std::vector<std::string>& before,
              const std::vector<std::string>& behind) {
  std::vector<std::pair<std::string, int32_t>> prefix, suffix;
  for (const std::string& content : before) {
    if (const auto id = parts.id(content)) prefix.emplace_back(content, *id);
  }
  for (const std::string& content : behind) {
    if (const auto id = parts.id(content)) suffix.emplace_back(content, *id);
  }
  if (!prefix.empty() || !suffix.empty()) parts.post_processor = template_processing(prefix, suffix);
}

/// Control pieces that no file names are never shown, nor looked for.
void hide_control_pieces(const SentencePieceModel& sp, int32_t id_offset, TokenizerParts& parts) {
  for (size_t i = 0; i < sp.file.pieces.size(); ++i) {
    const auto& piece = sp.file.pieces[i];
    const bool control = piece.type == SentencePieceFile::control || piece.type == SentencePieceFile::unknown;
    if (!control || parts.find_added(piece.content)) continue;
    parts.added.push_back({.id = static_cast<int32_t>(i) + id_offset,
                           .content = piece.content,
                           .special = true,
                           .hidden = true});
  }
}

void use_own_ids(const SentencePieceModel& sp, TokenizerParts& parts) {
  if (!parts.bos_id) parts.bos_id = sp.bos_id;
  if (!parts.eos_id) parts.eos_id = sp.eos_id;
  if (!parts.pad_id) parts.pad_id = sp.pad_id;
  if (!parts.unk_id) parts.unk_id = sp.unk_id;
}

/// A model that no class speaks for: ALBERT's own marks, a beginning like LLaMA's, or an end like T5's.
void surround_by_pieces(TokenizerParts& parts) {
  if (parts.id("[CLS]") && parts.id("[SEP]")) {
    surround(parts, {"[CLS]"}, {"[SEP]"});
  } else if (parts.bos_id) {
    surround(parts, {parts.content(*parts.bos_id)}, {});
  } else if (parts.eos_id) {
    surround(parts, {}, {parts.content(*parts.eos_id)});
  }
}

void apply_chatglm(TokenizerParts& parts, bool first_version) {
  if (first_version) {
    surround(parts, {}, {"[gMASK]", "<sop>"});
    parts.normalizer = sequence_node("normalizers", chatglm_rewriting(false));
    for (json& step : chatglm_rewriting(true)) parts.decoder["decoders"].push_back(std::move(step));
  } else {
    append_special(parts, {"[MASK]", "[gMASK]", "[sMASK]", "sop", "eop", "<|system|>", "<|user|>",
                           "<|assistant|>", "<|observation|>"});
    surround(parts, {"[gMASK]", "sop"}, {});
  }
}

void apply_t5(const SideFiles& side, TokenizerParts& parts) {
  const json& extra = json_or_null(side.config, "extra_ids");
  const int32_t count = extra.is_null() ? 100 : json_id(extra, "extra_ids", side.config_path);
  if (count > 10000) bad_input("{}: extra_ids is {}, which is out of range", side.config_path, count);
  std::vector<std::string> contents;
  for (int32_t i = count; i-- > 0;) contents.push_back(fmt::format("<extra_id_{}>", i));
  append_special(parts, contents);
}

/// LLaMA's class with `legacy: false`: no rewriting by the library; a blank goes in front of the text's own
/// beginning alone, not of what follows a special token, and only where none stands there.
bool is_modern_llama(const SideFiles* side, const std::string& name) {
  return name == "LlamaTokenizer" && !json_bool(side->config, "legacy", true, side->config_path);
}

/// Appended to a model's file: a second normalizer_spec, whose fields (character map, add_dummy_prefix,
/// remove_extra_whitespaces) overwrite the first one's.
constexpr std::string_view kNoRewriting("\x1A\x06\x12\x00\x18\x00\x20\x00", 8);

void apply_modern_llama(const SideFiles& side, TokenizerParts& parts) {
  const bool prefix = json_bool(side.config, "add_prefix_space", true, side.config_path);
  parts.pre_tokenizer = {{"type", "Metaspace"},
                         {"replacement", kVisibleBlank},
                         {"prepend_scheme", prefix ? "first" : "never"},
                         {"split", false}};
  parts.decoder = sentencepiece_decoder(prefix);
}

}  // namespace

TokenizerParts parts_from_sentencepiece(const std::string& bytes, const std::string& source,
                                        const SideFiles* side) {
  const std::string name = side ? side->tokenizer_class() : "";
  if (std::find(kOtherIds.begin(), kOtherIds.end(), name) != kOtherIds.end()) {
    bad_input("{}: {} gives the model's pieces other ids; save it as a tokenizer.json first",
              side->config_path, name);
  }
  // The first ChatGLM keeps the first ids for pictures.
  const bool chatglm = name == "ChatGLMTokenizer",
             first_chatglm =
                 chatglm && (source.ends_with("ice_text.model") || side->config.contains("num_image_tokens"));
  int32_t id_offset = 0;
  if (first_chatglm) {
    const json& images = json_or_null(side->config, "num_image_tokens");
    id_offset = images.is_null() ? 20000 : json_id(images, "num_image_tokens", side->config_path);
  }
  const bool modern_llama = is_modern_llama(side, name);
  SentencePieceModel sp =
      make_sentencepiece(modern_llama ? bytes + std::string(kNoRewriting) : bytes, source, id_offset);
  TokenizerParts parts;
  parts.source = source;
  constexpr int all = 1 << 20;
  parts.decoder = sentencepiece_decoder(sp.file.remove_extra_whitespaces ? all : sp.file.add_dummy_prefix);
  parts.model = std::move(sp.model);
  if (!side) {
    hide_control_pieces(sp, id_offset, parts);
    use_own_ids(sp, parts);
    surround_by_pieces(parts);
    return parts;
  }
  add_listed_tokens(*side, parts);
  const std::pair<const char*, std::optional<int32_t>> standard[] = {
      {"unk_token", sp.unk_id}, {"bos_token", sp.bos_id}, {"eos_token", sp.eos_id}};
  for (const auto& [key, id] : standard) {
    if (id && !side->special(key)) parts.make_special(parts.content(*id));
  }
  if (name == "T5Tokenizer") apply_t5(*side, parts);
  if (chatglm) apply_chatglm(parts, first_chatglm);
  for (const std::string& content : side->all_special()) parts.make_special(content);
  add_special_behind(*side, parts);
  hide_control_pieces(sp, id_offset, parts);
  apply_side_files(*side, parts);
  use_own_ids(sp, parts);
  if (modern_llama) apply_modern_llama(*side, parts);
  if (name == "AlbertTokenizer") {
    parts.normalizer = albert_rewriting(*side);
    surround(parts, {"[CLS]"}, {"[SEP]"});
  } else if (name == "T5Tokenizer") {
    surround(parts, {}, {"</s>"});
  } else if (!chatglm) {
    apply_add_tokens(*side, parts, true);
  }
  return parts;
}

}  // namespace ft
