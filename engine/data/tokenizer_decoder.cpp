#include "engine/data/tokenizer_decoder.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/core/check.h"
#include "engine/data/tokenizer_json.h"
#include "engine/data/tokenizer_model.h"
#include "engine/data/tokenizer_utf8.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

constexpr size_t kMaxContent = 1024;  // of a Replace; real ones are a blank or a line end

void replace_all(std::string& text, std::string_view old, std::string_view by) {
  for (size_t at = text.find(old); at != std::string::npos; at = text.find(old, at + by.size())) {
    text.replace(at, old.size(), by);
  }
}

/// English as it is written: no blank before marks and contractions.
void clean_up(std::string& text) {
  for (const auto& [old, by] :
       std::initializer_list<std::pair<std::string_view, std::string_view>>{{" .", "."},
                                                                            {" ?", "?"},
                                                                            {" !", "!"},
                                                                            {" ,", ","},
                                                                            {" ' ", "'"},
                                                                            {" n't", "n't"},
                                                                            {" 'm", "'m"},
                                                                            {" do not", " don't"},
                                                                            {" 's", "'s"},
                                                                            {" 've", "'ve"},
                                                                            {" 're", "'re"}}) {
    replace_all(text, old, by);
  }
}

size_t json_count(const nlohmann::json& node, const char* key, const std::string& source) {
  const auto count = whole_number(json_or_null(node, key));
  if (!count) bad_input("{}: decoder Strip: \"{}\" should be a whole number", source, key);
  return static_cast<size_t>(*count);
}

/// Takes `part` from the front of `text`, at most `most` times; returns how often.
size_t strip_front(std::string& text, std::string_view part, size_t most) {
  size_t count = 0;
  while (count < most && std::string_view(text).substr(count * part.size()).starts_with(part)) ++count;
  text.erase(0, count * part.size());
  return count;
}

}  // namespace

TokenDecoder TokenDecoder::from_json(const nlohmann::json& node, bool byte_level, const std::string& source) {
  TokenDecoder result;
  result.source_ = source;
  if (!node.is_null()) {
    result.append_steps(node, source, 0);
  } else {
    result.steps_.push_back({byte_level ? Step::byte_level : Step::blanks});
  }
  return result;
}

void TokenDecoder::append_steps(const nlohmann::json& node, const std::string& source, int depth) {
  const std::string type = json_string(node, "type", source);
  if (type != "Sequence") return append_step(type, node, source);
  if (depth > 4) bad_input("{}: decoder: sequences nested too deeply", source);
  for (const auto& part : json_array(node, "decoders", source)) append_steps(part, source, depth + 1);
}

void TokenDecoder::append_step(const std::string& type, const nlohmann::json& node,
                               const std::string& source) {
  Step step{};
  if (type == "Fuse") {
    fused_ = true;
    return;
  }
  if (type == "ByteLevel") {
    step.kind = Step::byte_level;
  } else if (type == "ByteFallback") {
    step.kind = Step::byte_fallback;
  } else if (type == "Metaspace") {
    step.kind = Step::metaspace;
    step.pattern = json_optional_string(node, "replacement", source).value_or("\xE2\x96\x81");
    step.content = " ";
    const bool add = json_bool(node, "add_prefix_space", true, source);
    step.flag =
        json_optional_string(node, "prepend_scheme", source).value_or(add ? "always" : "never") != "never";
  } else if (type == "WordPiece") {
    step.kind = Step::word_piece;
    step.pattern = json_optional_string(node, "prefix", source).value_or("##");
    step.flag = json_bool(node, "cleanup", true, source);
  } else if (type == "Replace") {
    step.kind = Step::replace;
    step.pattern = json_string(json_object(node, "pattern", source), "String", source);
    step.content = json_string(node, "content", source);
    if (step.content.size() > kMaxContent) bad_input("{}: decoder Replace: its content is too long", source);
  } else if (type == "Strip") {
    step.kind = Step::strip;
    step.pattern = json_string(node, "content", source);
    step.start = json_count(node, "start", source);
    step.stop = json_count(node, "stop", source);
    const auto strips_text = [](const Step& s) { return s.kind == Step::strip_text; };
    if (fused_ && (step.stop > 0 || std::any_of(steps_.begin(), steps_.end(), strips_text))) {
      bad_input("{}: decoder: after Fuse, Strip is supported once and at the start only", source);
    }
    if (fused_) step.kind = Step::strip_text;
  } else {
    bad_input(
        "{}: decoder type \"{}\" is not supported; supported are ByteLevel, Metaspace, WordPiece, "
        "ByteFallback, "
        "Fuse, Strip, Replace and Sequence",
        source, printable(type));
  }
  if (step.pattern.empty() && step.kind != Step::byte_level && step.kind != Step::byte_fallback) return;
  steps_.push_back(std::move(step));
}

void TokenDecoder::push(std::string_view token, bool added, DecodeState& state, std::string& out) const {
  std::string text(token);
  const bool first = !state.begun;
  state.begun = true;
  for (const Step& step : steps_) {
    switch (step.kind) {
      case Step::byte_level:
        if (auto bytes = added ? std::nullopt : from_byte_level(text)) text = std::move(*bytes);
        break;
      case Step::byte_fallback:
        if (const int byte = byte_of_token(text); byte >= 0) {
          out.push_back(static_cast<char>(byte));
          state.shown = true;
          return;
        }
        break;
      case Step::metaspace:
        replace_all(text, step.pattern, first && step.flag ? "" : step.content);
        break;
      case Step::word_piece:
        if (!first) {
          const bool goes_on = text.starts_with(step.pattern);
          goes_on ? void(text.erase(0, step.pattern.size())) : void(text.insert(0, 1, ' '));
        }
        if (step.flag) clean_up(text);
        break;
      case Step::replace:
        replace_all(text, step.pattern, step.content);
        if (text.size() > 64 * token.size() + 4096) {
          bad_input("{}: its decoder makes a token more than 64 times longer", source_);
        }
        break;
      case Step::strip: {
        strip_front(text, step.pattern, step.start);
        for (size_t n = 0; n < step.stop && text.ends_with(step.pattern); ++n) {
          text.resize(text.size() - step.pattern.size());
        }
        break;
      }
      case Step::strip_text:
        if (!state.shown && step.start > state.stripped) {
          state.stripped += strip_front(text, step.pattern, step.start - state.stripped);
        }
        break;
      case Step::blanks:
        if (!first) text.insert(0, 1, ' ');
        break;
    }
  }
  state.shown = state.shown || !text.empty();
  out += text;
}

}  // namespace ft
