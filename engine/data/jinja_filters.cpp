// Filters: value | name(arguments). Those that Jinja has and chat templates use; another name is refused when
// the template is read.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "engine/data/jinja_filters.h"
#include "engine/data/jinja_text.h"
#include "engine/data/tokenizer_utf8.h"

namespace ft::jinja {
namespace {

Value trim(Run& run, const Value& v, ArgReader& args) {
  const Value* chars = args.next("chars");
  const std::string text = to_text(run, v);
  const bool given = chars && !chars->is_none();
  return run.text(
      std::string(strip(text, given ? std::optional(to_text(run, *chars)) : std::nullopt, true, true)));
}

template <std::string (*change)(std::string_view)>
Value changed(Run& run, const Value& v, ArgReader&) {
  return run.text(change(to_text(run, v)));
}

/// The filter's own idea of a title: what follows white space, a hyphen or an opening bracket begins a word.
std::string filter_title(std::string_view text) {
  std::string out;
  bool first = true;
  while (!text.empty()) {
    const Utf8Unit unit = next_utf8(text);
    const auto c = text.substr(0, unit.bytes);
    out += first ? upper(c) : lower(c);
    first = is_python_space(unit.code) || std::string_view("-({[<").find(c) != std::string_view::npos;
    text.remove_prefix(unit.bytes);
  }
  return out;
}

Value length(Run& run, const Value& v, ArgReader&) {
  return length_of(run, v);
}

Value default_filter(Run&, const Value& v, ArgReader& args) {
  const Value* other = args.next("default_value");
  const bool falsy = args.flag("boolean", false);
  const bool missing = v.is_undefined() || (falsy && !v.truth());
  return !missing ? v : other ? *other : Value("");
}

Value tojson(Run& run, const Value& v, ArgReader& args) {
  args.flag("ensure_ascii", false);
  const Value* indent = args.next("indent");
  const Value* separators = args.next("separators");
  const bool sorted = args.flag("sort_keys", false);
  const bool indented = indent && !indent->is_none();
  if (indented && (!indent->is_whole() || indent->whole() > 32))
    run.fail("tojson: indent is a number of blanks, 32 at most");
  std::string between = indented ? "," : ", ", colon = ": ";
  if (separators && !separators->is_none()) {
    const Values pair = iterate(run, *separators);
    if (pair.size() != 2) run.fail("tojson: separators are two texts");
    between = to_text(run, pair[0]);
    colon = to_text(run, pair[1]);
  }
  return run.text(
      to_json(run, v, indented ? std::max<int64_t>(indent->whole(), 0) : -1, between, colon, sorted));
}

Value items(Run& run, const Value& v, ArgReader&) {
  if (v.is_undefined()) return run.list({});
  if (!v.pairs()) run.fail("items takes a mapping, not a {}", v.type_name());
  return call(run, find_method(run, v, "items"), {});
}

Value replace_filter(Run& run, const Value& v, ArgReader& args) {
  const std::string from = to_text(run, args.need("old")), to = to_text(run, args.need("new"));
  auto out = replace(to_text(run, v), from, to, args.integer("count", -1), kMaxMade);
  if (!out) run.charge(kMaxMade + 1);
  return run.text(std::move(*out));
}

Value string_filter(Run& run, const Value& v, ArgReader&) {
  return run.text(to_text(run, v));
}

Value int_filter(Run& run, const Value& v, ArgReader& args) {
  const int64_t fallback = args.integer("default", 0);
  if (v.is_whole()) return v.whole();
  if (v.real()) {
    if (!(std::abs(*v.real()) < 9e18)) run.fail("an integer of more than 64 bits");
    return static_cast<int64_t>(*v.real());
  }
  if (!v.text()) return fallback;
  const std::string text(strip(*v.text(), std::nullopt, true, true));
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const char* end = text.data() + text.size();
  int64_t whole = 0;
  if (const auto r = std::from_chars(begin, end, whole); r.ec == std::errc() && r.ptr == end) return whole;
  double real = 0;
  if (const auto r = std::from_chars(begin, end, real);
      r.ec == std::errc() && r.ptr == end && std::abs(real) < 9e18)
    return static_cast<int64_t>(real);
  return fallback;
}

Value float_filter(Run&, const Value& v, ArgReader& args) {
  const Value* other = args.next("default");
  if (v.is_number()) return v.number();
  if (v.text()) {
    const std::string text(strip(*v.text(), std::nullopt, true, true));
    double real = 0;
    const auto r = std::from_chars(text.data(), text.data() + text.size(), real);
    if (r.ec == std::errc() && r.ptr == text.data() + text.size()) return real;
  }
  return other ? *other : Value(0.0);
}

Value abs_filter(Run& run, const Value& v, ArgReader&) {
  if (v.real()) return std::abs(*v.real());
  if (!v.is_whole() || v.whole() == INT64_MIN) run.fail("abs takes a number");
  return std::abs(v.whole());
}

Value round_filter(Run& run, const Value& v, ArgReader& args) {
  const int64_t places = args.integer("precision", 0);
  const std::string method = args.text("method", "common");
  if (!v.is_number() || std::abs(places) > 15) run.fail("round takes a number and at most 15 places");
  const double scale = std::pow(10.0, static_cast<double>(places)), x = v.number() * scale;
  const double r = method == "ceil" ? std::ceil(x) : method == "floor" ? std::floor(x) : std::nearbyint(x);
  return r / scale;
}

Value indent(Run& run, const Value& v, ArgReader& args) {
  const Value* width = args.next("width");
  const bool first = args.flag("first", false), blank = args.flag("blank", false);
  std::string pad;
  if (width && width->text()) {
    pad = *width->text();
  } else {
    const int64_t n = width && width->is_whole() ? width->whole() : 4;
    if (n > 256) run.fail("indent: 256 blanks at most");
    pad.assign(static_cast<size_t>(std::max<int64_t>(n, 0)), ' ');
  }
  const std::string text = to_text(run, v);
  const std::vector<std::string> lines = split_lines(text + "\n", false);
  run.charge(text.size() + lines.size() * pad.size());
  std::string out;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += '\n';
    if (i == 0 ? first : blank || !lines[i].empty()) out += pad;
    out += lines[i];
  }
  return Value(std::move(out));
}

Value escape(Run& run, const Value& v, ArgReader&) {
  std::string out;
  for (const char c : to_text(run, v)) {
    constexpr std::string_view special = "&<>\"'";
    constexpr std::array<std::string_view, 5> written = {"&amp;", "&lt;", "&gt;", "&#34;", "&#39;"};
    const size_t at = special.find(c);
    if (at == special.npos)
      out += c;
    else
      out += written[at];
  }
  return run.text(std::move(out));
}

Value wordcount(Run& run, const Value& v, ArgReader&) {
  return static_cast<int64_t>(split(to_text(run, v), std::nullopt, -1, false).size());
}

constexpr std::array kFilters = {
    FilterEntry{"trim", trim},
    FilterEntry{"length", length},
    FilterEntry{"count", length},
    FilterEntry{"upper", changed<upper>},
    FilterEntry{"lower", changed<lower>},
    FilterEntry{"title", changed<filter_title>},
    FilterEntry{"capitalize", changed<capitalize>},
    FilterEntry{"default", default_filter},
    FilterEntry{"d", default_filter},
    FilterEntry{"tojson", tojson},
    FilterEntry{"items", items},
    FilterEntry{"replace", replace_filter},
    FilterEntry{"string", string_filter},
    FilterEntry{"safe", string_filter},
    FilterEntry{"escape", escape},
    FilterEntry{"e", escape},
    FilterEntry{"int", int_filter},
    FilterEntry{"float", float_filter},
    FilterEntry{"abs", abs_filter},
    FilterEntry{"round", round_filter},
    FilterEntry{"indent", indent},
    FilterEntry{"wordcount", wordcount},
};

const FilterEntry* find(std::string_view name) {
  for (const FilterEntry& e : kFilters)
    if (e.name == name) return &e;
  for (const FilterEntry& e : list_filters())
    if (e.name == name) return &e;
  return nullptr;
}

}  // namespace

bool is_filter(std::string_view name) {
  return find(name) != nullptr;
}

Value apply_filter(Run& run, const std::string& name, const Value& value, const Args& args) {
  const Level level(run);
  ArgReader reader(run, name, args);
  Value result = find(name)->apply(run, value, reader);
  reader.finish();
  return result;
}

}  // namespace ft::jinja
