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

void PreTokenizer::append_steps(const nlohmann::json& node, const std::string& source, int depth) {
  const std::string type = json_string(node, "type", source);
  Step step;
  if (type == "Sequence") {
    if (depth > 4) bad_input("{}: pre_tokenizer: sequences nested too deeply", source);
    for (const auto& part : json_array(node, "pretokenizers", source)) append_steps(part, source, depth + 1);
    return;
  }
  if (type == "ByteLevel") {
    if (byte_level_) bad_input("{}: pre_tokenizer: ByteLevel stands there twice", source);
    byte_level_ = step.byte_level = true;
    step.add_prefix_space = json_bool(node, "add_prefix_space", true, source);
    if (json_bool(node, "use_regex", true, source)) step.regex.emplace(kGpt2Pattern, source);
  } else if (type == "Split") {
    const auto& pattern = json_object(node, "pattern", source);
    const bool is_regex = pattern.contains("Regex");
    const std::string text = json_string(pattern, is_regex ? "Regex" : "String", source);
    if (!text.empty()) step.regex.emplace(is_regex ? text : escape_regex(text), source);
    step.behavior = behavior_of(json_string(node, "behavior", source), source);
    step.invert = json_bool(node, "invert", false, source);
  } else if (type == "Digits") {
    const bool individual = json_bool(node, "individual_digits", false, source);
    step.regex.emplace("\\p{N}", source);
    step.behavior = individual ? Behavior::isolated : Behavior::contiguous;
  } else if (type == "Punctuation") {
    step.regex.emplace(kPunctuationPattern, source);
    step.behavior = node.contains("behavior") ? behavior_of(json_string(node, "behavior", source), source)
                                              : Behavior::isolated;
  } else {
    bad_input(
        "{}: pre_tokenizer type \"{}\" is not supported; supported are ByteLevel, Split, Digits, Punctuation "
        "and "
        "Sequence",
        source, printable(type));
  }
  steps_.push_back(std::move(step));
}

void PreTokenizer::split(std::string_view text, Pieces& pieces) const {
  pieces.text = text;
  pieces.spans.clear();
  if (text.empty()) return;
  pieces.spans.push_back({0, static_cast<uint32_t>(text.size())});
  thread_local std::vector<TextSpan> next, matches;
  bool rewritten = false;  // pieces.text is in GPT-2's alphabet
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    if (step.add_prefix_space) {
      rewrite(pieces, [](std::string_view piece, std::string& out) {
        if (!piece.starts_with(' ')) out += ' ';
        out += piece;
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
