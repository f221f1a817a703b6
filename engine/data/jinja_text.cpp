#include "engine/data/jinja_text.h"

#include <utf8proc.h>

#include <algorithm>
#include <utility>

#include "engine/data/tokenizer_utf8.h"

namespace ft::jinja {
namespace {

char32_t up(char32_t c) {
  return static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c)));
}
char32_t down(char32_t c) {
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
}
bool has_case(char32_t c) {
  return up(c) != c || down(c) != c;
}

template <class F>
std::string mapped(std::string_view text, F&& f) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Utf8Unit unit = next_utf8(text);
    if (unit.kind == Utf8Unit::character)
      append_utf8(out, f(unit.code));
    else
      out.append(text.substr(0, unit.bytes));
    text.remove_prefix(unit.bytes);
  }
  return out;
}

/// The pieces between white space, from the left; the last keeps the rest behind `most` cuts.
std::vector<std::string> split_at_spaces(std::string_view text, int64_t most) {
  std::vector<std::string> parts;
  while (true) {
    text = strip(text, std::nullopt, true, false);
    if (text.empty()) return parts;
    if (most >= 0 && static_cast<int64_t>(parts.size()) == most) {
      parts.emplace_back(text);
      return parts;
    }
    size_t end = 0;
    while (end < text.size()) {
      const Utf8Unit unit = next_utf8(text.substr(end));
      if (is_python_space(unit.code)) break;
      end += unit.bytes;
    }
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

std::vector<std::string> rsplit_at_spaces(std::string_view text, int64_t most) {
  std::vector<std::string> parts;
  while (true) {
    text = strip(text, std::nullopt, false, true);
    if (text.empty()) break;
    if (static_cast<int64_t>(parts.size()) == most) {
      parts.emplace_back(text);
      break;
    }
    size_t begin = text.size();
    while (begin > 0) {
      const Utf8Unit unit = last_utf8(text.substr(0, begin));
      if (is_python_space(unit.code)) break;
      begin -= unit.bytes;
    }
    parts.emplace_back(text.substr(begin));
    text = text.substr(0, begin);
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

}  // namespace

std::u32string code_points(std::string_view text) {
  std::u32string out;
  while (!text.empty()) {
    const Utf8Unit unit = next_utf8(text);
    out += unit.kind == Utf8Unit::character ? unit.code : U'\uFFFD';
    text.remove_prefix(unit.bytes);
  }
  return out;
}

std::string from_code_points(std::u32string_view points) {
  std::string out;
  for (const char32_t c : points) append_utf8(out, c);
  return out;
}

bool is_python_space(char32_t c) {
  return (c >= 0x1c && c <= 0x1f) || is_unicode_space(c);
}

std::string_view strip(std::string_view text, const std::optional<std::string>& chars, bool left,
                       bool right) {
  const std::u32string set = chars ? code_points(*chars) : std::u32string();
  const auto goes = [&](char32_t c) { return chars ? set.find(c) != set.npos : is_python_space(c); };
  while (left && !text.empty()) {
    const Utf8Unit unit = next_utf8(text);
    if (!goes(unit.code)) break;
    text.remove_prefix(unit.bytes);
  }
  while (right && !text.empty()) {
    const Utf8Unit unit = last_utf8(text);
    if (!goes(unit.code)) break;
    text.remove_suffix(unit.bytes);
  }
  return text;
}

std::vector<std::string> split(std::string_view text, const std::optional<std::string>& separator,
                               int64_t most, bool from_right) {
  if (!separator) return from_right && most >= 0 ? rsplit_at_spaces(text, most) : split_at_spaces(text, most);
  std::vector<std::string> parts;
  const auto more = [&] { return most < 0 || static_cast<int64_t>(parts.size()) < most; };
  if (from_right) {
    size_t at;
    while (more() && (at = text.rfind(*separator)) != text.npos) {
      parts.emplace_back(text.substr(at + separator->size()));
      text = text.substr(0, at);
    }
    parts.emplace_back(text);
    std::reverse(parts.begin(), parts.end());
    return parts;
  }
  size_t at;
  while (more() && (at = text.find(*separator)) != text.npos) {
    parts.emplace_back(text.substr(0, at));
    text.remove_prefix(at + separator->size());
  }
  parts.emplace_back(text);
  return parts;
}

std::vector<std::string> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string> lines;
  size_t begin = 0, at = 0;
  while (at < text.size()) {
    const Utf8Unit unit = next_utf8(text.substr(at));
    const char32_t c = unit.code;
    size_t end = at + unit.bytes;
    const bool line_end =
        (c >= 0x0a && c <= 0x0d) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (c == '\r' && end < text.size() && text[end] == '\n') ++end;
    if (line_end) {
      lines.emplace_back(text.substr(begin, (keep_ends ? end : at) - begin));
      begin = end;
    }
    at = end;
  }
  if (begin < text.size()) lines.emplace_back(text.substr(begin));
  return lines;
}

std::optional<std::string> replace(std::string_view text, std::string_view from, std::string_view to,
                                   int64_t most, size_t limit) {
  std::string out;
  int64_t done = 0;
  const auto more = [&] { return most < 0 || done < most; };
  while (more()) {
    const size_t at = from.empty() ? 0 : text.find(from);
    if (at == text.npos) break;
    out.append(text.substr(0, at)).append(to);
    text.remove_prefix(at + from.size());
    ++done;
    if (from.empty()) {
      if (text.empty()) return out;
      const size_t bytes = next_utf8(text).bytes;
      out.append(text.substr(0, bytes));
      text.remove_prefix(bytes);
    }
    if (out.size() > limit) return std::nullopt;
  }
  return out.append(text);
}

std::string upper(std::string_view text) {
  return mapped(text, up);
}
std::string lower(std::string_view text) {
  return mapped(text, down);
}
std::string capitalize(std::string_view text) {
  bool first = true;
  return mapped(text, [&](char32_t c) { return std::exchange(first, false) ? up(c) : down(c); });
}
std::string title(std::string_view text) {
  bool inside = false;
  return mapped(text, [&](char32_t c) {
    const bool was = std::exchange(inside, has_case(c));
    return was ? down(c) : up(c);
  });
}

}  // namespace ft::jinja
