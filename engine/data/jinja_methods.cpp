// The methods of texts, lists and mappings: a table a type. What changes a value (append, update …) is
// refused, as in transformers' sandbox.
#include <algorithm>
#include <array>

#include "engine/data/jinja_run.h"
#include "engine/data/jinja_text.h"
#include "engine/data/tokenizer_utf8.h"

namespace ft::jinja {
namespace {

using Method = Value (*)(Run&, const Value& self, ArgReader&);
struct Entry {
  std::string_view name;
  Method call;
};

Values texts(const std::vector<std::string>& parts) {
  Values out;
  for (const std::string& part : parts) out.emplace_back(part);
  return out;
}

template <bool left, bool right>
Value stripped(Run& run, const Value& self, ArgReader& args) {
  const Value* chars = args.next("chars");
  const bool given = chars && !chars->is_none();
  if (given && !chars->text()) run.fail("strip takes a text, not a {}", chars->type_name());
  return run.text(
      std::string(strip(*self.text(), given ? std::optional(*chars->text()) : std::nullopt, left, right)));
}

template <bool from_right>
Value split_method(Run& run, const Value& self, ArgReader& args) {
  const Value* separator = args.next("sep");
  const int64_t most = args.integer("maxsplit", -1);
  std::optional<std::string> at;
  if (separator && !separator->is_none()) {
    if (!separator->text() || separator->text()->empty()) run.fail("split takes a text that is not empty");
    at = *separator->text();
  }
  run.charge(self.text()->size() * 2 * sizeof(Value));
  return run.list(texts(split(*self.text(), at, most, from_right)));
}

template <bool at_end>
Value begins(Run& run, const Value& self, ArgReader& args) {
  const Value& what = args.need("prefix");
  const std::string& text = *self.text();
  const auto holds = [&](const Value& v) {
    if (!v.text()) run.fail("startswith and endswith take a text or a tuple of them");
    return at_end ? text.ends_with(*v.text()) : text.starts_with(*v.text());
  };
  if (!what.items()) return holds(what);
  return std::any_of(what.items()->begin(), what.items()->end(), holds);
}

template <bool last>
Value found_at(Run& run, const Value& self, ArgReader& args) {
  const std::string what = args.need_text("sub");
  const size_t at = last ? self.text()->rfind(what) : self.text()->find(what);
  if (at == std::string::npos) return int64_t{-1};
  return length_of(run, Value(self.text()->substr(0, at)));
}

template <std::string (*change)(std::string_view)>
Value changed(Run& run, const Value& self, ArgReader&) {
  return run.text(change(*self.text()));
}

template <bool (*test)(char32_t)>
Value all_are(Run&, const Value& self, ArgReader&) {
  const std::u32string points = code_points(*self.text());
  return !points.empty() && std::all_of(points.begin(), points.end(), test);
}
bool is_ascii_digit(char32_t c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char32_t c) {
  return is_unicode_word(c) && !is_ascii_digit(c) && c != '_';
}
bool is_letter_or_digit(char32_t c) {
  return is_unicode_word(c) && c != '_';
}

template <bool upper_case>
Value cased(Run&, const Value& self, ArgReader&) {
  const std::string& s = *self.text();
  return (upper_case ? upper(s) : lower(s)) == s && (upper_case ? lower(s) : upper(s)) != s;
}

template <bool suffix>
Value without(Run& run, const Value& self, ArgReader& args) {
  const std::string what = args.need_text("what"), &text = *self.text();
  if (suffix) return run.text(text.ends_with(what) ? text.substr(0, text.size() - what.size()) : text);
  return run.text(text.starts_with(what) ? text.substr(what.size()) : text);
}

template <bool last>
Value partition(Run& run, const Value& self, ArgReader& args) {
  const std::string separator = args.need_text("sep"), &text = *self.text();
  if (separator.empty()) run.fail("partition takes a text that is not empty");
  const size_t at = last ? text.rfind(separator) : text.find(separator);
  if (at == std::string::npos) return run.list(last ? Values{"", "", self} : Values{self, "", ""}, true);
  return run.list({Value(text.substr(0, at)), Value(separator), Value(text.substr(at + separator.size()))},
                  true);
}

Value join_method(Run& run, const Value& self, ArgReader& args) {
  std::string out;
  bool first = true;
  for (const Value& part : iterate(run, args.need("iterable"))) {
    if (!part.text()) run.fail("join takes texts, not a {}", part.type_name());
    run.charge(self.text()->size() + part.text()->size());
    if (!std::exchange(first, false)) out += *self.text();
    out += *part.text();
  }
  return Value(std::move(out));
}

Value replace_method(Run& run, const Value& self, ArgReader& args) {
  const std::string from = args.need_text("old"), to = args.need_text("new");
  auto out = replace(*self.text(), from, to, args.integer("count", -1), kMaxMade);
  if (!out) run.charge(kMaxMade + 1);
  return run.text(std::move(*out));
}

Value count_method(Run& run, const Value& self, ArgReader& args) {
  const std::string what = args.need_text("sub");
  if (what.empty()) return length_of(run, self) + 1;
  int64_t n = 0;
  for (size_t at = 0; (at = self.text()->find(what, at)) != std::string::npos; at += what.size()) ++n;
  return n;
}

Value lines_method(Run& run, const Value& self, ArgReader& args) {
  run.charge(self.text()->size() * 2 * sizeof(Value));
  return run.list(texts(split_lines(*self.text(), args.flag("keepends", false))));
}

constexpr std::array kText = {
    Entry{"strip", stripped<true, true>},
    Entry{"lstrip", stripped<true, false>},
    Entry{"rstrip", stripped<false, true>},
    Entry{"split", split_method<false>},
    Entry{"rsplit", split_method<true>},
    Entry{"splitlines", lines_method},
    Entry{"startswith", begins<false>},
    Entry{"endswith", begins<true>},
    Entry{"replace", replace_method},
    Entry{"find", found_at<false>},
    Entry{"rfind", found_at<true>},
    Entry{"count", count_method},
    Entry{"upper", changed<upper>},
    Entry{"lower", changed<lower>},
    Entry{"title", changed<title>},
    Entry{"capitalize", changed<capitalize>},
    Entry{"join", join_method},
    Entry{"isdigit", all_are<is_ascii_digit>},
    Entry{"isalpha", all_are<is_letter>},
    Entry{"isalnum", all_are<is_letter_or_digit>},
    Entry{"isspace", all_are<is_python_space>},
    Entry{"isupper", cased<true>},
    Entry{"islower", cased<false>},
    Entry{"removeprefix", without<false>},
    Entry{"removesuffix", without<true>},
    Entry{"partition", partition<false>},
    Entry{"rpartition", partition<true>},
};

Value list_index(Run& run, const Value& self, ArgReader& args) {
  const Value& what = args.need("value");
  for (size_t i = 0; i < self.items()->size(); ++i)
    if (equal((*self.items())[i], what)) return static_cast<int64_t>(i);
  run.fail("the list has no such item");
}

Value list_count(Run&, const Value& self, ArgReader& args) {
  const Value& what = args.need("value");
  return static_cast<int64_t>(std::count_if(self.items()->begin(), self.items()->end(),
                                            [&](const Value& item) { return equal(item, what); }));
}

constexpr std::array kList = {Entry{"index", list_index}, Entry{"count", list_count}};

Value map_items(Run& run, const Value& self, ArgReader&) {
  Values out;
  for (const auto& [key, value] : *self.pairs()) out.push_back(run.list({key, value}, true));
  return run.list(std::move(out));
}
Value map_keys(Run& run, const Value& self, ArgReader&) {
  return run.list(iterate(run, self));
}
Value map_values(Run& run, const Value& self, ArgReader&) {
  Values out;
  for (const auto& [key, value] : *self.pairs()) out.push_back(value);
  return run.list(std::move(out));
}
Value map_get(Run&, const Value& self, ArgReader& args) {
  const Value* found = self.find(args.need("key"));
  const Value* fallback = args.next("default");
  return found ? *found : fallback ? *fallback : Value(None{});
}
Value map_copy(Run&, const Value& self, ArgReader&) {
  return self;
}

constexpr std::array kMap = {Entry{"items", map_items}, Entry{"keys", map_keys}, Entry{"values", map_values},
                             Entry{"get", map_get}, Entry{"copy", map_copy}};

constexpr std::array<std::string_view, 12> kChanging = {"append", "extend",     "insert",  "pop",
                                                        "remove", "reverse",    "sort",    "clear",
                                                        "update", "setdefault", "popitem", "add"};
constexpr std::array<std::string_view, 9> kMissing = {"format", "encode", "center",    "ljust",   "rjust",
                                                      "zfill",  "index",  "translate", "swapcase"};

bool has(const auto& table, const std::string& name) {
  return std::find(table.begin(), table.end(), name) != table.end();
}

}  // namespace

Value find_method(Run& run, const Value& value, const std::string& name) {
  const Entry* entry = nullptr;
  const auto look = [&](const auto& table) {
    for (const Entry& e : table)
      if (e.name == name) entry = &e;
  };
  if (value.text()) look(kText);
  if (value.items()) look(kList);
  if (value.pairs()) look(kMap);
  if (entry) {
    const auto call = [self = value, entry](Run& r, const Args& args) {
      ArgReader reader(r, entry->name, args);
      Value result = entry->call(r, self, reader);
      reader.finish();
      return result;
    };
    return run.bounded(Value::function(name, call, value.depth() + 1));
  }
  if (((value.items() || (value.pairs() && !value.find(Value(name)))) && has(kChanging, name)))
    run.fail("{}() changes a value, which templates may not", name);
  if (value.text() && has(kMissing, name)) run.fail("the method {}() of texts is not supported", name);
  return {};
}

}  // namespace ft::jinja
