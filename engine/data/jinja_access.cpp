// What a template may do with a value besides arithmetic: iterate, index, slice, ask for attributes, call.
#include <algorithm>

#include "engine/data/jinja_run.h"
#include "engine/data/jinja_text.h"
#include "engine/data/tokenizer_utf8.h"
#include "engine/io/printable.h"

namespace ft::jinja {
namespace {

[[noreturn]] void undefined(Run& run, const Value& v) {
  run.fail("'{}' is undefined", printable(v.undefined_name(), 60));
}

Value loop_attribute(Run& run, const Value& value, const std::string& name) {
  const Loop& l = *value.loop();
  if (name == "index") return l.index0 + 1;
  if (name == "index0") return l.index0;
  if (name == "revindex") return l.length - l.index0;
  if (name == "revindex0") return l.length - l.index0 - 1;
  if (name == "first") return l.index0 == 0;
  if (name == "last") return l.index0 + 1 == l.length;
  if (name == "length") return l.length;
  if (name == "previtem") return l.previous;
  if (name == "nextitem") return l.next;
  if (name == "depth") return int64_t{1};  // of recursive loops, which are not supported
  if (name == "depth0") return int64_t{0};
  if (name == "cycle")
    return Value::function("cycle", [at = l.index0](Run& r, const Args& args) {
      if (args.positional.empty()) r.fail("loop.cycle() takes at least one value");
      return args.positional[static_cast<size_t>(at) % args.positional.size()];
    });
  run.fail("loop.{} is not supported", printable(name, 60));
}

/// Python's bounds of a slice of `n` items.
struct Bounds {
  int64_t begin, end, step;
};
Bounds bounds(Run& run, int64_t n, const Value& begin, const Value& end, const Value& step) {
  const auto given = [&](const Value& v) { return !v.is_none(); };
  for (const Value* v : {&begin, &end, &step})
    if (given(*v) && !v->is_whole()) run.fail("a slice takes integers, not a {}", v->type_name());
  const int64_t by = given(step) ? step.whole() : 1;
  if (by == 0) run.fail("a slice's step is zero");
  const auto place = [&](const Value& v, int64_t missing) {
    if (!given(v)) return missing;
    int64_t at = v.whole();
    if (at < 0) at = std::max(at, -n - 1) + n;
    return std::clamp<int64_t>(at, by > 0 ? 0 : -1, by > 0 ? n : n - 1);
  };
  return {place(begin, by > 0 ? 0 : n - 1), place(end, by > 0 ? n : -1), by};
}

template <class Sequence>
Sequence cut(const Sequence& from, const Bounds& b) {
  Sequence out;
  for (int64_t i = b.begin; b.step > 0 ? i < b.end : i > b.end;) {
    out.push_back(from[static_cast<size_t>(i)]);
    if (__builtin_add_overflow(i, b.step, &i)) break;
  }
  return out;
}

}  // namespace

Values iterate(Run& run, const Value& value) {
  if (value.is_undefined()) return {};
  if (value.items()) {
    run.charge(value.items()->size() * sizeof(Value));
    return *value.items();
  }
  Values out;
  if (value.pairs()) {
    for (const auto& [key, item] : *value.pairs()) out.push_back(key);
  } else if (value.text()) {
    run.charge(value.text()->size() * 2 * sizeof(Value));
    std::string_view rest = *value.text();
    while (!rest.empty()) {
      const size_t bytes = next_utf8(rest).bytes;
      out.emplace_back(std::string(rest.substr(0, bytes)));
      rest.remove_prefix(bytes);
    }
  } else {
    run.fail("a {} cannot be looped over", value.type_name());
  }
  return out;
}

int64_t length_of(Run& run, const Value& value) {
  if (value.is_undefined()) return 0;
  if (value.items()) return static_cast<int64_t>(value.items()->size());
  if (value.pairs()) return static_cast<int64_t>(value.pairs()->size());
  if (value.text()) return static_cast<int64_t>(code_points(*value.text()).size());
  run.fail("a {} has no length", value.type_name());
}

Value get_item(Run& run, const Value& value, const Value& key) {
  if (value.is_undefined()) undefined(run, value);
  const auto name = [&] {
    return key.text() ? *key.text() : key.is_whole() ? std::to_string(key.whole()) : "";
  };
  if (value.pairs()) {
    run.charge(value.pairs()->size());
    const Value* found = value.find(key);
    return found ? *found : key.text() ? get_attribute(run, value, *key.text()) : Value::undefined(name());
  }
  if (key.is_whole() && (value.items() || value.text())) {
    const int64_t n = length_of(run, value), at = key.whole() < 0 ? key.whole() + n : key.whole();
    if (at < 0 || at >= n) return Value::undefined(fmt::format("[{}]", key.whole()));
    if (value.items()) return (*value.items())[static_cast<size_t>(at)];
    return Value(from_code_points(code_points(*value.text()).substr(static_cast<size_t>(at), 1)));
  }
  return key.text() ? get_attribute(run, value, *key.text()) : Value::undefined(name());
}

Value get_attribute(Run& run, const Value& value, const std::string& name) {
  if (value.is_undefined()) undefined(run, value);
  if (value.loop()) return loop_attribute(run, value, name);
  if (const Namespace* space = value.space()) {
    for (const auto& [known, v] : space->attributes)
      if (known == name) return v;
    return Value::undefined(name);
  }
  Value method = find_method(run, value, name);
  if (!method.is_undefined()) return method;
  const Value* found = value.pairs() ? value.find(Value(name)) : nullptr;
  return found ? *found : Value::undefined(name);
}

Value slice(Run& run, const Value& value, const Value& begin, const Value& end, const Value& step) {
  if (value.is_undefined()) undefined(run, value);
  if (value.text()) {
    const std::u32string points = code_points(*value.text());
    const Bounds b = bounds(run, static_cast<int64_t>(points.size()), begin, end, step);
    return run.text(from_code_points(cut(points, b)));
  }
  if (!value.items()) run.fail("a {} cannot be sliced", value.type_name());
  const Bounds b = bounds(run, static_cast<int64_t>(value.items()->size()), begin, end, step);
  return run.list(cut(*value.items(), b), value.is_tuple());
}

bool contains(Run& run, const Value& hay, const Value& needle) {
  if (hay.is_undefined()) return false;
  if (hay.text()) {
    if (!needle.text()) run.fail("'in' looks for a {} in a text", needle.type_name());
    return hay.text()->find(*needle.text()) != std::string::npos;
  }
  if (hay.pairs()) return hay.find(needle) != nullptr;
  if (!hay.items()) run.fail("'in' does not work on a {}", hay.type_name());
  run.charge(hay.items()->size());
  return std::any_of(hay.items()->begin(), hay.items()->end(),
                     [&](const Value& item) { return equal(item, needle); });
}

Value call(Run& run, const Value& callee, const Args& args) {
  if (callee.is_undefined()) undefined(run, callee);
  if (!callee.function()) run.fail("a {} cannot be called", callee.type_name());
  const Level level(run);
  return callee.function()->call(run, args);
}

const Value* ArgReader::next(std::string_view name) {
  by_place_ = at_ < args_.positional.size();
  if (by_place_) return &args_.positional[at_++];
  for (const auto& [known, value] : args_.named) {
    if (known != name) continue;
    ++used_named_;
    return &value;
  }
  return nullptr;
}

const Value& ArgReader::need(std::string_view name) {
  const Value* v = next(name);
  if (!v) run_.fail("{} needs the argument {}", what_, name);
  return *v;
}

std::string ArgReader::text(std::string_view name, std::string_view fallback) {
  const Value* v = next(name);
  return v ? to_text(run_, *v) : std::string(fallback);
}

std::string ArgReader::need_text(std::string_view name) {
  const Value& v = need(name);
  if (!v.text()) run_.fail("{}: {} is a {}; expected a text", what_, name, v.type_name());
  return *v.text();
}

int64_t ArgReader::integer(std::string_view name, int64_t fallback) {
  const Value* v = next(name);
  if (!v || v->is_none()) return fallback;
  if (!v->is_whole()) run_.fail("{}: {} is a {}; expected an integer", what_, name, v->type_name());
  return v->whole();
}

bool ArgReader::flag(std::string_view name, bool fallback) {
  const Value* v = next(name);
  return v ? v->truth() : fallback;
}

Values ArgReader::rest() {
  Values all(args_.positional.begin() + static_cast<ptrdiff_t>(at_), args_.positional.end());
  at_ = args_.positional.size();
  return all;
}

void ArgReader::finish() const {
  if (at_ < args_.positional.size() || used_named_ < args_.named.size())
    run_.fail("{} is given an argument that is not supported", what_);
}

}  // namespace ft::jinja
