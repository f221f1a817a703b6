#include "engine/data/jinja_value.h"

#include <utf8proc.h>

#include <algorithm>
#include <cmath>

#include "engine/data/jinja_run.h"
#include "engine/data/tokenizer_utf8.h"

namespace ft::jinja {
namespace {

constexpr int kMaxNesting = 100;  // of lists and mappings that are compared or written

/// Python's repr of a float: the shortest decimal that reads back, always with a point or an exponent.
std::string real_text(double v) {
  if (std::isnan(v)) return "nan";
  if (std::isinf(v)) return v > 0 ? "inf" : "-inf";
  std::string text = fmt::format("{}", v);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

/// Would Python's repr write the character itself?
bool is_printable(char32_t c) {
  if (c == ' ') return true;
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category != UTF8PROC_CATEGORY_CN && category < UTF8PROC_CATEGORY_ZS;
}

std::string quoted_text(std::string_view text) {
  const bool has_single = text.find('\'') != text.npos, has_double = text.find('"') != text.npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  std::string out(1, quote);
  while (!text.empty()) {
    const Utf8Unit unit = next_utf8(text);
    const std::string_view bytes = text.substr(0, unit.bytes);
    text.remove_prefix(unit.bytes);
    const char32_t c = unit.code;
    if (c == static_cast<char32_t>(quote) || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (is_printable(c)) {
      out += bytes;
    } else {
      const auto code = static_cast<uint32_t>(c);
      out += code < 0x100     ? fmt::format("\\x{:02x}", code)
             : code < 0x10000 ? fmt::format("\\u{:04x}", code)
                              : fmt::format("\\U{:08x}", code);
    }
  }
  return out + quote;
}

}  // namespace

Value Value::list(Values items, bool tuple) {
  Value v;
  int depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.depth());
  v.data_ = std::shared_ptr<const ListData>(new ListData{std::move(items), tuple, depth + 1});
  return v;
}
Value Value::map(Pairs items) {
  Value v;
  int depth = 0;
  for (const auto& [key, item] : items) depth = std::max({depth, key.depth(), item.depth()});
  v.data_ = std::shared_ptr<const MapData>(new MapData{std::move(items), depth + 1});
  return v;
}
Value Value::undefined(std::string_view name) {
  return Undefined{std::make_shared<const std::string>(name)};
}
Value Value::function(std::string name, std::function<Value(Run&, const Args&)> call, int depth) {
  Value v;
  v.data_ = std::shared_ptr<const Function>(new Function{std::move(name), std::move(call), depth});
  return v;
}

Value Value::from_json(const nlohmann::ordered_json& json) {
  using Type = nlohmann::ordered_json::value_t;
  switch (json.type()) {
    case Type::boolean:
      return json.get<bool>();
    case Type::number_integer:
      return json.get<int64_t>();
    case Type::number_unsigned:
      if (json.get<uint64_t>() > INT64_MAX) return json.get<double>();
      return json.get<int64_t>();
    case Type::number_float:
      return json.get<double>();
    case Type::string:
      return json.get<std::string>();
    case Type::array: {
      Values items;
      for (const auto& item : json) items.push_back(from_json(item));
      return list(std::move(items));
    }
    case Type::object: {
      Pairs items;
      for (const auto& [key, item] : json.items()) items.emplace_back(key, from_json(item));
      return map(std::move(items));
    }
    default:
      return None{};
  }
}

const Values* Value::items() const {
  const auto* list = held<std::shared_ptr<const ListData>>();
  return list ? &list->items : nullptr;
}
const Pairs* Value::pairs() const {
  const auto* map = held<std::shared_ptr<const MapData>>();
  return map ? &map->items : nullptr;
}
bool Value::is_tuple() const {
  const auto* list = held<std::shared_ptr<const ListData>>();
  return list && list->tuple;
}

const Value* Value::find(const Value& key) const {
  if (!pairs()) return nullptr;
  for (const auto& [k, v] : *pairs())
    if (equal(k, key)) return &v;
  return nullptr;
}

int Value::depth() const {
  if (const auto* list = held<std::shared_ptr<const ListData>>()) return list->depth;
  if (const auto* map = held<std::shared_ptr<const MapData>>()) return map->depth;
  return function() ? function()->depth : loop() ? loop()->depth : 0;
}

bool Value::truth() const {
  if (is_undefined() || is_none()) return false;
  if (is_number()) return number() != 0;
  if (text()) return !text()->empty();
  if (items()) return !items()->empty();
  if (pairs()) return !pairs()->empty();
  return true;
}

const char* Value::type_name() const {
  if (is_undefined()) return "undefined";
  if (is_none()) return "None";
  if (boolean()) return "bool";
  if (integer()) return "int";
  if (real()) return "float";
  if (text()) return "str";
  if (items()) return is_tuple() ? "tuple" : "list";
  if (pairs()) return "dict";
  if (space()) return "namespace";
  return loop() ? "loop" : "function";
}

std::string Value::undefined_name() const {
  const auto* u = std::get_if<Undefined>(&data_);
  return u && u->name ? *u->name : "value";
}

bool equal(const Value& a, const Value& b, int depth) {
  if (depth > kMaxNesting) return false;
  if (a.is_number() && b.is_number())
    return a.is_whole() && b.is_whole() ? a.whole() == b.whole() : a.number() == b.number();
  if (a.text() && b.text()) return *a.text() == *b.text();
  if (a.items() && b.items()) {
    if (a.is_tuple() != b.is_tuple() || a.items()->size() != b.items()->size()) return false;
    for (size_t i = 0; i < a.items()->size(); ++i)
      if (!equal((*a.items())[i], (*b.items())[i], depth + 1)) return false;
    return true;
  }
  if (a.pairs() && b.pairs()) {
    if (a.pairs()->size() != b.pairs()->size()) return false;
    for (const auto& [key, value] : *a.pairs()) {
      const Value* other = b.find(key);
      if (!other || !equal(value, *other, depth + 1)) return false;
    }
    return true;
  }
  if (a.space() || b.space()) return a.space() == b.space();
  if (a.function() || b.function()) return a.function() == b.function();
  if (a.loop() || b.loop()) return a.loop() == b.loop();
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

bool less(Run& run, const Value& a, const Value& b) {
  run.step();
  if (a.is_number() && b.is_number())
    return a.is_whole() && b.is_whole() ? a.whole() < b.whole() : a.number() < b.number();
  if (a.text() && b.text()) return *a.text() < *b.text();  // UTF-8 sorts as its code points do
  if (a.items() && b.items() && a.is_tuple() == b.is_tuple()) {
    const size_t n = std::min(a.items()->size(), b.items()->size());
    for (size_t i = 0; i < n; ++i) {
      const Level level(run);
      if (!equal((*a.items())[i], (*b.items())[i])) return less(run, (*a.items())[i], (*b.items())[i]);
    }
    return a.items()->size() < b.items()->size();
  }
  if (a.is_undefined() || b.is_undefined())
    run.fail("'{}' is undefined", (a.is_undefined() ? a : b).undefined_name());
  run.fail("'{}' and '{}' cannot be ordered", a.type_name(), b.type_name());
}

std::string to_text(Run& run, const Value& value) {
  if (value.is_undefined()) return {};
  if (value.text()) return *value.text();
  return to_repr(run, value);
}

std::string to_repr(Run& run, const Value& v, int depth) {
  run.step();
  if (depth > kMaxNesting) run.fail("a value nests too deeply to be written");
  if (v.is_undefined()) return "Undefined";
  if (v.is_none()) return "None";
  if (v.boolean()) return *v.boolean() ? "True" : "False";
  if (v.integer()) return std::to_string(*v.integer());
  if (v.real()) return real_text(*v.real());
  if (v.text()) return quoted_text(*v.text());
  std::string out;
  const auto add = [&](std::string part) {
    run.charge(part.size());
    out += (out.empty() ? "" : ", ") + part;
  };
  if (v.items()) {
    for (const Value& item : *v.items()) add(to_repr(run, item, depth + 1));
    if (v.is_tuple()) return "(" + out + (v.items()->size() == 1 ? ",)" : ")");
    return "[" + out + "]";
  }
  if (v.pairs()) {
    for (const auto& [key, item] : *v.pairs())
      add(to_repr(run, key, depth + 1) + ": " + to_repr(run, item, depth + 1));
    return "{" + out + "}";
  }
  run.fail("a {} cannot be written as text", v.type_name());
}

}  // namespace ft::jinja
