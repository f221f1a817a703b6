#include "engine/data/tokenizer_normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/core/check.h"
#include "engine/data/tokenizer_json.h"
#include "engine/data/tokenizer_utf8.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

/// Characters that no normal form changes and that compose with nothing, so that a text of them alone is left
/// as it is. Not complete: it is there for speed, and covers ASCII and Chinese.
bool is_inert(char32_t c) {
  return c < 0xA0 || (c >= 0x4E00 && c <= 0x9FFF) || c == 0x3001 || c == 0x3002 ||
         (c >= 0x3008 && c <= 0x3011);
}

bool is_inert(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    if (static_cast<uint8_t>(text[at]) < 0x80) {
      ++at;
      continue;
    }
    const Utf8Unit unit = next_utf8(text.substr(at));
    if (!is_inert(unit.code)) return false;
    at += unit.bytes;
  }
  return true;
}

}  // namespace

Normalizer Normalizer::from_json(const nlohmann::json& node, const std::string& source) {
  Normalizer result;
  if (!node.is_null()) result.append_forms(node, source, 0);
  return result;
}

void Normalizer::append_forms(const nlohmann::json& node, const std::string& source, int depth) {
  const std::string type = json_string(node, "type", source);
  if (type == "Sequence" && depth < 4) {
    for (const auto& part : json_array(node, "normalizers", source)) append_forms(part, source, depth + 1);
  } else if (type == "NFC") {
    forms_.push_back(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  } else if (type == "NFD") {
    forms_.push_back(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
  } else if (type == "NFKC") {
    forms_.push_back(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
  } else if (type == "NFKD") {
    forms_.push_back(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT);
  } else {
    bad_input("{}: normalizer type \"{}\" is not supported; supported are NFC, NFD, NFKC, NFKD and Sequence",
              source, printable(type));
  }
}

std::string_view Normalizer::apply(std::string_view text, std::string& buffer) const {
  if (forms_.empty() || is_inert(text)) return text;
  buffer = text;
  for (const int form : forms_) {
    utf8proc_uint8_t* mapped = nullptr;
    const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(buffer.data()),
                                   static_cast<utf8proc_ssize_t>(buffer.size()), &mapped,
                                   static_cast<utf8proc_option_t>(form));
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
    if (size < 0) fail("[normalize] {}", utf8proc_errmsg(size));
    buffer.assign(reinterpret_cast<const char*>(mapped), static_cast<size_t>(size));
  }
  return buffer;
}

}  // namespace ft
