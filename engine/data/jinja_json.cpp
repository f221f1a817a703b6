// The tojson filter: what Python's json.dumps writes with ensure_ascii=False.
#include <algorithm>
#include <cmath>

#include "engine/data/jinja_run.h"

namespace ft::jinja {
namespace {

constexpr int kMaxNesting = 100;

void append_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    constexpr std::string_view special = "\"\\\n\r\t\b\f", letters = "\"\\nrtbf";
    if (const size_t at = special.find(c); at != special.npos) {
      out += '\\';
      out += letters[at];
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

struct Writer {
  Run& run;
  int64_t indent;
  std::string_view between, colon;
  bool sorted;
  std::string out{};

  void line(int depth) {
    if (indent < 0) return;
    run.charge(1 + static_cast<size_t>(indent * depth));
    out += '\n';
    out.append(static_cast<size_t>(indent * depth), ' ');
  }

  std::string key_text(const Value& key) {
    if (key.text()) return *key.text();
    if (key.boolean()) return *key.boolean() ? "true" : "false";
    if (key.is_none()) return "null";
    if (key.is_number()) return to_text(run, key);
    run.fail("tojson: a {} cannot be a key", key.type_name());
  }

  void write(const Value& v, int depth) {
    run.step();
    if (depth > kMaxNesting) run.fail("tojson: the value nests too deeply");
    const size_t before = out.size();
    if (v.is_none()) {
      out += "null";
    } else if (v.boolean()) {
      out += *v.boolean() ? "true" : "false";
    } else if (v.real() && !std::isfinite(*v.real())) {
      out += std::isnan(*v.real()) ? "NaN" : *v.real() > 0 ? "Infinity" : "-Infinity";
    } else if (v.is_number()) {
      out += to_text(run, v);
    } else if (v.text()) {
      append_string(out, *v.text());
    } else if (v.items()) {
      list(*v.items(), depth);
    } else if (v.pairs()) {
      map(*v.pairs(), depth);
    } else if (v.is_undefined()) {
      run.fail("tojson: '{}' is undefined", v.undefined_name());
    } else {
      run.fail("tojson: a {} cannot be written", v.type_name());
    }
    if (depth == 0) run.charge(out.size() - before);
  }

  void list(const Values& items, int depth) {
    out += '[';
    bool first = true;
    for (const Value& item : items) {
      if (!std::exchange(first, false)) out += between;
      line(depth + 1);
      write(item, depth + 1);
    }
    if (!items.empty()) line(depth);
    out += ']';
  }

  void map(const Pairs& pairs, int depth) {
    std::vector<std::pair<std::string, const Value*>> entries;
    for (const auto& [key, value] : pairs) entries.emplace_back(key_text(key), &value);
    if (sorted)
      std::stable_sort(entries.begin(), entries.end(),
                       [](const auto& a, const auto& b) { return a.first < b.first; });
    out += '{';
    bool first = true;
    for (const auto& [key, value] : entries) {
      if (!std::exchange(first, false)) out += between;
      line(depth + 1);
      append_string(out, key);
      out += colon;
      write(*value, depth + 1);
    }
    if (!entries.empty()) line(depth);
    out += '}';
  }
};

}  // namespace

std::string to_json(Run& run, const Value& value, int64_t indent, std::string_view item_separator,
                    std::string_view key_separator, bool sort_keys) {
  Writer writer{run, indent, item_separator, key_separator, sort_keys};
  writer.write(value, 0);
  return std::move(writer.out);
}

}  // namespace ft::jinja
