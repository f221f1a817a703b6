#include "engine/data/pretokenizer.h"

#include <nlohmann/json.hpp>

#include "engine/core/check.h"
#include "engine/data/tokenizer_json.h"
#include "engine/data/tokenizer_utf8.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

// The words of GPT-2: English contractions, letters, digits, anything else, each with its leading blank;
// blanks.
constexpr const char* kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
// Rust's word characters, or whatever else stands between blanks.
constexpr const char* kWordsPattern = R"([\w\x{200c}\x{200d}]+|[^\w\s\x{200c}\x{200d}]+)";
// Unicode punctuation and all of ASCII's.
constexpr const char* kPunctuationPattern = R"([\p{P}$+<=>^`|~])";

PreTokenizer::Behavior behavior_of(const std::string& name, const std::string& source) {
  using enum PreTokenizer::Behavior;
  if (name == "Removed") return removed;
  if (name == "Isolated") return isolated;
  if (name == "MergedWithPrevious") return merged_with_previous;
  if (name == "MergedWithNext") return merged_with_next;
  if (name == "Contiguous") return contiguous;
  bad_input("{}: pre_tokenizer: unknown behavior \"{}\"", source, printable(name));
}

/// Splits text [0, size) at `matches` by `behavior`; spans are appended, shifted by `offset`, empty ones left
/// out.
void cut(const std::vector<TextSpan>& matches, uint32_t size, PreTokenizer::Behavior behavior, bool invert,
         uint32_t offset, std::vector<TextSpan>& out) {
  using enum PreTokenizer::Behavior;
  struct Part {
    TextSpan span;
    bool match;
  };
  thread_local std::vector<Part> parts;
  parts.clear();
  uint32_t at = 0;
  for (const TextSpan m : matches) {
    if (at < m.begin) parts.push_back({{at, m.begin}, invert});
    parts.push_back({m, !invert});
    at = m.end;
  }
  if (at < size) parts.push_back({{at, size}, invert});

  const auto emit = [&](TextSpan s) {
    if (s.begin < s.end) out.push_back({s.begin + offset, s.end + offset});
  };
  size_t i = 0;
  while (i < parts.size()) {
    TextSpan span = parts[i].span;
    const bool match = parts[i++].match;
    switch (behavior) {
      case removed:
        if (match) continue;
        break;
      case isolated:
        break;
      case contiguous:
        for (; i < parts.size() && parts[i].match == match; ++i) span.end = parts[i].span.end;
        break;
      case merged_with_previous:  // text takes the one match behind it
        if (!match && i < parts.size() && parts[i].match) span.end = parts[i++].span.end;
        break;
      case merged_with_next:  // a match takes the text behind it
        if (match && i < parts.size() && !parts[i].match) span.end = parts[i++].span.end;
        break;
    }
    emit(span);
  }
}

void append_with_blanks_as(const std::string& blank, std::string_view text, std::string& out) {
  if (blank == " ") {
    out += text;
    return;
  }
  for (const char c : text) c == ' ' ? out += blank : out += c;
}

/// Rewrites the pieces' text through `write(piece, buffer)`, which appends.
template <class Write>
void rewrite(PreTokenizer::Pieces& pieces, Write&& write) {
  std::string buffer;
  buffer.reserve(pieces.text.size() + pieces.text.size() / 4 + pieces.spans.size());
  for (size_t i = 0; i < pieces.spans.size(); ++i) {
    const auto begin = static_cast<uint32_t>(buffer.size());
    write(pieces[i], buffer);
    pieces.spans[i] = {begin, static_cast<uint32_t>(buffer.size())};
  }
  pieces.storage = std::move(buffer);
  pieces.text = pieces.storage;
}

}  // namespace

PreTokenizer PreTokenizer::from_json(const nlohmann::json& node, const std::string& source) {
  PreTokenizer result;
  if (!node.is_null()) result.append_steps(node, source, 0);
  return result;
}

void PreTokenizer::append_regex(const char* pattern, Behavior behavior, bool invert,
                                const std::string& source) {
  Step step;
  step.regex.emplace(pattern, source);
  step.behavior = behavior;
  step.invert = invert;
  steps_.push_back(std::move(step));
}

void PreTokenizer::append_metaspace(const nlohmann::json& node, const std::string& source) {
  // Behind ByteLevel its character would be taken for a byte's.
  if (byte_level_) bad_input("{}: pre_tokenizer: Metaspace after ByteLevel is not supported", source);
  Step step;
  step.blank = json_optional_string(node, "replacement", source).value_or("\xE2\x96\x81");
  if (step.blank.empty() || next_utf8(step.blank).bytes != step.blank.size()) {
    bad_input("{}: pre_tokenizer: Metaspace's replacement should be one character", source);
  }
  const bool add = json_bool(node, "add_prefix_space", true, source);  // as older files say it
  const std::string scheme =
      json_optional_string(node, "prepend_scheme", source).value_or(add ? "always" : "never");
  if (scheme == "always") {
    step.prefix = Prefix::always;
  } else if (scheme == "first") {
    step.prefix = Prefix::first;
  } else if (scheme != "never") {
    bad_input("{}: pre_tokenizer: Metaspace has the unknown prepend_scheme \"{}\"", source,
              printable(scheme));
  }
  if (json_bool(node, "split", true, source)) step.regex.emplace(escape_regex(step.blank), source);
  step.behavior = Behavior::merged_with_next;
  steps_.push_back(std::move(step));
}

void PreTokenizer::append_steps(const nlohmann::json& node, const std::string& source, int depth) {
  using enum Behavior;
  const std::string type = json_string(node, "type", source);
  if (type == "Sequence") {
    if (depth > 4) bad_input("{}: pre_tokenizer: sequences nested too deeply", source);
    for (const auto& part : json_array(node, "pretokenizers", source)) append_steps(part, source, depth + 1);
  } else if (type == "ByteLevel") {
    if (byte_level_) bad_input("{}: pre_tokenizer: ByteLevel stands there twice", source);
    Step step;
    byte_level_ = step.byte_level = true;
    if (json_bool(node, "add_prefix_space", true, source)) step.blank = " ", step.prefix = Prefix::always;
    if (json_bool(node, "use_regex", true, source)) step.regex.emplace(kGpt2Pattern, source);
    steps_.push_back(std::move(step));
  } else if (type == "Split") {
    const auto& pattern = json_object(node, "pattern", source);
    const bool is_regex = pattern.contains("Regex");
    const std::string text = json_string(pattern, is_regex ? "Regex" : "String", source);
    const auto behavior = behavior_of(json_string(node, "behavior", source), source);
    const bool invert = json_bool(node, "invert", false, source);
    if (text.empty()) return;
    append_regex((is_regex ? text : escape_regex(text)).c_str(), behavior, invert, source);
  } else if (type == "CharDelimiterSplit") {
    append_regex(escape_regex(json_string(node, "delimiter", source)).c_str(), removed, false, source);
  } else if (type == "Digits") {
    const bool individual = json_bool(node, "individual_digits", false, source);
    append_regex("\\p{N}", individual ? isolated : contiguous, false, source);
  } else if (type == "Punctuation") {
    const std::string behavior = json_optional_string(node, "behavior", source).value_or("Isolated");
    append_regex(kPunctuationPattern, behavior_of(behavior, source), false, source);
  } else if (type == "Whitespace") {
    append_regex(kWordsPattern, removed, true, source);
  } else if (type == "WhitespaceSplit") {
    append_regex("\\s+", removed, false, source);
  } else if (type == "BertPreTokenizer") {
    append_regex("\\s+", removed, false, source);
    append_regex(kPunctuationPattern, isolated, false, source);
  } else if (type == "Metaspace") {
    append_metaspace(node, source);
  } else {
    bad_input(
        "{}: pre_tokenizer type \"{}\" is not supported; supported are ByteLevel, Metaspace, Split, "
        "Whitespace, "
        "WhitespaceSplit, BertPreTokenizer, CharDelimiterSplit, Digits, Punctuation and Sequence",
        source, printable(type));
  }
}

void PreTokenizer::split(std::string_view text, Pieces& pieces, bool inner) const {
  pieces.text = text;
  pieces.spans.clear();
  if (text.empty()) return;
  pieces.spans.push_back({0, static_cast<uint32_t>(text.size())});
  thread_local std::vector<TextSpan> next, matches;
  bool rewritten = false;  // pieces.text is in GPT-2's alphabet
  bool at_start = !inner;  // the first piece begins the whole text
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    at_start = at_start && !pieces.spans.empty() && pieces.spans[0].begin == 0;
    if (!step.blank.empty()) {
      bool first = at_start;
      rewrite(pieces, [&](std::string_view piece, std::string& out) {
        const bool wanted = step.prefix == Prefix::always || (step.prefix == Prefix::first && first);
        first = false;
        if (wanted && !piece.starts_with(' ') && !piece.starts_with(step.blank)) out += step.blank;
        append_with_blanks_as(step.blank, piece, out);
      });
    }
    if (step.regex) {
      next.clear();
      for (const TextSpan s : pieces.spans) {
        const std::string_view piece = pieces.text.substr(s.begin, s.end - s.begin);
        matches.clear();
        step.regex->find_all(piece, matches);
        cut(matches, static_cast<uint32_t>(piece.size()), step.behavior, step.invert, s.begin, next);
      }
      pieces.spans.swap(next);
    }
    if (step.byte_level && i + 1 < steps_.size()) {
      rewrite(pieces, [](std::string_view piece, std::string& out) { append_byte_level(out, piece); });
      rewritten = true;
    }
  }
  if (rewritten) {
    rewrite(pieces, [](std::string_view piece, std::string& out) { out += *from_byte_level(piece); });
  }
}

}  // namespace ft
