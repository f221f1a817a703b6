#include "engine/data/tokenizer_normalizer.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/core/check.h"
#include "engine/data/pretokenizer_regex.h"
#include "engine/data/tokenizer_base64.h"
#include "engine/data/tokenizer_charsmap.h"
#include "engine/data/tokenizer_json.h"
#include "engine/data/tokenizer_unicode.h"
#include "engine/data/tokenizer_utf8.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

using Step = std::function<bool(std::string_view, std::string&)>;

/// Bytes that a text of `size` may become. Real normalisers at most triple it.
size_t most_bytes(size_t size) {
  return std::min(64 * size + (size_t{1} << 16), size_t{1} << 30);
}

[[noreturn]] void too_long(const std::string& source) {
  bad_input("{}: its normalizer makes a text more than 64 times longer", source);
}

/// Calls map(code, out) in the place of each character that does not stay.
template <class Stays, class Map>
bool map_characters(std::string_view text, std::string& out, Stays&& stays, Map&& map) {
  size_t kept = 0;  // text[kept, at) stays as it is
  bool changed = false;
  for (size_t at = 0; at < text.size();) {
    const Utf8Unit unit = next_utf8(text.substr(at));
    if (!stays(unit.code)) {
      if (!changed) out.reserve(text.size() + text.size() / 8);
      out.append(text, kept, at - kept);
      map(unit.code, out);
      kept = at + unit.bytes;
      changed = true;
    }
    at += unit.bytes;
  }
  if (changed) out.append(text, kept);
  return changed;
}

template <class Gone>
bool remove_characters(std::string_view text, std::string& out, Gone&& gone) {
  return map_characters(
      text, out, [&](char32_t c) { return !gone(c); }, [](char32_t, std::string&) {});
}

bool lower(std::string_view text, std::string& out) {
  char32_t more = 0;
  return map_characters(
      text, out, [&](char32_t c) { return lower_case(c, more) == c && more == 0; },
      [&](char32_t c, std::string& to) {
        append_utf8(to, lower_case(c, more));
        if (more) append_utf8(to, more);
      });
}

bool strip(std::string_view text, std::string& out, bool left, bool right) {
  std::string_view rest = text;
  while (left && !rest.empty()) {
    const Utf8Unit unit = next_utf8(rest);
    if (!is_unicode_space(unit.code)) break;
    rest.remove_prefix(unit.bytes);
  }
  while (right && !rest.empty()) {
    const Utf8Unit unit = last_utf8(rest);
    if (!is_unicode_space(unit.code)) break;
    rest.remove_suffix(unit.bytes);
  }
  if (rest.size() == text.size()) return false;
  out = rest;
  return true;
}

// SentencePiece's "nmt" rules beside its character map.
bool nmt(std::string_view text, std::string& out) {
  const auto gone = [](char32_t c) {
    return (c >= 0x1 && c <= 0x8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F ||
           c == 0x9F;
  };
  const auto blank = [](char32_t c) {
    return c == 0x9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
           c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
  };
  return map_characters(
      text, out, [&](char32_t c) { return !gone(c) && !blank(c); },
      [&](char32_t c, std::string& to) {
        if (blank(c)) to += ' ';
      });
}

Step replace_step(const nlohmann::json& node, const std::string& source) {
  const auto& pattern = json_object(node, "pattern", source);
  const std::string content = json_string(node, "content", source);
  if (pattern.contains("Regex")) {
    const TokenRegex regex(json_string(pattern, "Regex", source), source);
    return [regex, content, source](std::string_view text, std::string& out) {
      thread_local std::vector<TextSpan> found;
      found.clear();
      regex.find_all(text, found);
      size_t at = 0;
      for (const TextSpan span : found) {
        out.append(text, at, span.begin - at).append(content);
        if (out.size() > most_bytes(text.size())) too_long(source);
        at = span.end;
      }
      out.append(text, at);
      return !found.empty();
    };
  }
  const std::string old = json_string(pattern, "String", source);
  if (old.empty()) bad_input("{}: normalizer Replace has an empty pattern", source);
  return [old, content, source](std::string_view text, std::string& out) {
    size_t at = 0, next = text.find(old);
    if (next == std::string_view::npos) return false;
    out.reserve(text.size() + text.size() / 2);
    for (; next != std::string_view::npos; next = text.find(old, at)) {
      out.append(text, at, next - at).append(content);
      if (out.size() > most_bytes(text.size())) too_long(source);
      at = next + old.size();
    }
    out.append(text, at);
    return true;
  };
}

Step charsmap_step(const nlohmann::json& node, const std::string& source) {
  const auto blob = from_base64(json_string(node, "precompiled_charsmap", source));
  if (!blob) bad_input("{}: normalizer Precompiled: precompiled_charsmap is not base64", source);
  const auto map = std::make_shared<const Charsmap>(*blob, source);
  return [map](std::string_view text, std::string& out) {
    map->append_normal(text, out);
    return true;
  };
}

Step form_step(UnicodeForm form) {
  return [form](std::string_view text, std::string& out) { return append_normal_form(text, form, out); };
}

}  // namespace

Normalizer Normalizer::from_json(const nlohmann::json& node, const std::string& source) {
  Normalizer result;
  result.source_ = source;
  if (!node.is_null()) result.append_steps(node, source, 0);
  return result;
}

void Normalizer::append_bert(const nlohmann::json& node, const std::string& source) {
  const bool lowercase = json_bool(node, "lowercase", true, source);
  if (json_bool(node, "clean_text", true, source)) {
    const auto gone = [](char32_t c) {
      return c == 0 || c == 0xFFFD || (c != '\t' && c != '\n' && c != '\r' && is_control_or_format(c));
    };
    steps_.push_back([gone](std::string_view text, std::string& out) {
      return map_characters(
          text, out,
          [&](char32_t c) { return (c >= 0x20 && c < 0x7F) || (!gone(c) && !is_unicode_space(c)); },
          [&](char32_t c, std::string& to) {
            if (!gone(c)) to += ' ';
          });
    });
  }
  if (json_bool(node, "handle_chinese_chars", true, source)) {
    steps_.push_back([](std::string_view text, std::string& out) {
      return map_characters(
          text, out, [](char32_t c) { return !is_bert_ideograph(c); },
          [](char32_t c, std::string& to) {
            to += ' ';
            append_utf8(to, c);
            to += ' ';
          });
    });
  }
  if (json_bool(node, "strip_accents", lowercase, source)) {
    steps_.push_back(form_step(UnicodeForm::nfd));
    steps_.push_back([](std::string_view text, std::string& out) {
      return remove_characters(text, out, [](char32_t c) { return c >= 0x300 && is_nonspacing_mark(c); });
    });
  }
  if (lowercase) steps_.push_back(lower);
}

void Normalizer::append_steps(const nlohmann::json& node, const std::string& source, int depth) {
  const std::string type = json_string(node, "type", source);
  if (type == "Sequence" && depth < 4) {
    for (const auto& part : json_array(node, "normalizers", source)) append_steps(part, source, depth + 1);
  } else if (type == "NFC") {
    steps_.push_back(form_step(UnicodeForm::nfc));
  } else if (type == "NFD") {
    steps_.push_back(form_step(UnicodeForm::nfd));
  } else if (type == "NFKC") {
    steps_.push_back(form_step(UnicodeForm::nfkc));
  } else if (type == "NFKD") {
    steps_.push_back(form_step(UnicodeForm::nfkd));
  } else if (type == "Lowercase") {
    steps_.push_back(lower);
  } else if (type == "StripAccents") {
    steps_.push_back([](std::string_view text, std::string& out) {
      return remove_characters(text, out, [](char32_t c) { return c >= 0x300 && is_mark(c); });
    });
  } else if (type == "Strip") {
    const bool left = json_bool(node, "strip_left", true, source),
               right = json_bool(node, "strip_right", true, source);
    steps_.push_back(
        [left, right](std::string_view text, std::string& out) { return strip(text, out, left, right); });
  } else if (type == "Replace") {
    steps_.push_back(replace_step(node, source));
  } else if (type == "Prepend") {
    const std::string front = json_string(node, "prepend", source);
    steps_.push_back([front](std::string_view text, std::string& out) {
      out.append(front).append(text);
      return !text.empty();
    });
  } else if (type == "BertNormalizer") {
    append_bert(node, source);
  } else if (type == "Nmt") {
    steps_.push_back(nmt);
  } else if (type == "Precompiled") {
    steps_.push_back(charsmap_step(node, source));
  } else if (type == "ByteLevel") {
    steps_.push_back([](std::string_view text, std::string& out) {
      append_byte_level(out, text);
      return true;
    });
  } else {
    bad_input(
        "{}: normalizer type \"{}\" is not supported; supported are NFC, NFD, NFKC, NFKD, Lowercase, "
        "StripAccents, Strip, Replace, Prepend, BertNormalizer, Nmt, Precompiled, ByteLevel and Sequence",
        source, printable(type));
  }
}

std::string_view Normalizer::apply(std::string_view text, std::string& buffer) const {
  std::string next;
  const size_t most = most_bytes(text.size());
  for (const Step& step : steps_) {
    next.clear();
    if (!step(text, next)) continue;
    if (next.size() > most) too_long(source_);
    buffer.swap(next);
    text = buffer;
  }
  return text;
}

}  // namespace ft
