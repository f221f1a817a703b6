// Tests (value is name) and global functions.
#include <algorithm>
#include <array>
#include <ctime>

#include "engine/data/jinja_run.h"
#include "engine/data/jinja_text.h"

namespace ft::jinja {
namespace {

using Test = bool (*)(Run&, const Value&, const Args&);

const Value& operand(Run& run, const Args& args) {
  if (args.positional.size() != 1) run.fail("the test needs one argument");
  return args.positional[0];
}
int64_t whole(Run& run, const Value& v) {
  if (!v.is_whole()) run.fail("the test takes an integer, not a {}", v.type_name());
  return v.whole();
}

bool is_iterable(Run&, const Value& v, const Args&) {
  return v.text() || v.items() || v.pairs() || v.is_undefined();
}
bool is_sequence(Run&, const Value& v, const Args&) {
  return v.text() || v.items() || v.pairs() || v.is_undefined();
}
bool is_equal(Run& run, const Value& v, const Args& args) {
  return equal(v, operand(run, args));
}
bool is_less(Run& run, const Value& v, const Args& args) {
  return less(run, v, operand(run, args));
}
bool is_greater(Run& run, const Value& v, const Args& args) {
  return less(run, operand(run, args), v);
}
bool is_upper(Run& run, const Value& v, const Args&) {
  const std::string s = to_text(run, v);
  return upper(s) == s && lower(s) != s;
}
bool is_lower(Run& run, const Value& v, const Args&) {
  const std::string s = to_text(run, v);
  return lower(s) == s && upper(s) != s;
}

struct Entry {
  std::string_view name;
  Test holds;
};
constexpr std::array kTests = {
    Entry{"defined", [](Run&, const Value& v, const Args&) { return !v.is_undefined(); }},
    Entry{"undefined", [](Run&, const Value& v, const Args&) { return v.is_undefined(); }},
    Entry{"none", [](Run&, const Value& v, const Args&) { return v.is_none(); }},
    Entry{"string", [](Run&, const Value& v, const Args&) { return v.text() != nullptr; }},
    Entry{"number", [](Run&, const Value& v, const Args&) { return v.is_number(); }},
    Entry{"integer", [](Run&, const Value& v, const Args&) { return v.integer() != nullptr; }},
    Entry{"float", [](Run&, const Value& v, const Args&) { return v.real() != nullptr; }},
    Entry{"boolean", [](Run&, const Value& v, const Args&) { return v.boolean() != nullptr; }},
    Entry{"true", [](Run&, const Value& v, const Args&) { return v.boolean() && *v.boolean(); }},
    Entry{"false", [](Run&, const Value& v, const Args&) { return v.boolean() && !*v.boolean(); }},
    Entry{"mapping", [](Run&, const Value& v, const Args&) { return v.pairs() != nullptr; }},
    Entry{"iterable", is_iterable},
    Entry{"sequence", is_sequence},
    Entry{"callable", [](Run&, const Value& v, const Args&) { return v.function() != nullptr; }},
    Entry{"odd", [](Run& run, const Value& v, const Args&) { return whole(run, v) % 2 != 0; }},
    Entry{"even", [](Run& run, const Value& v, const Args&) { return whole(run, v) % 2 == 0; }},
    Entry{"divisibleby",
          [](Run& run, const Value& v, const Args& args) {
            const int64_t by = whole(run, operand(run, args));
            if (by == 0) run.fail("division by zero");
            return by == -1 || whole(run, v) % by == 0;
          }},
    Entry{"equalto", is_equal},
    Entry{"eq", is_equal},
    Entry{"==", is_equal},
    Entry{"sameas", is_equal},
    Entry{"ne", [](Run& run, const Value& v, const Args& a) { return !is_equal(run, v, a); }},
    Entry{"!=", [](Run& run, const Value& v, const Args& a) { return !is_equal(run, v, a); }},
    Entry{"lt", is_less},
    Entry{"<", is_less},
    Entry{"lessthan", is_less},
    Entry{"gt", is_greater},
    Entry{">", is_greater},
    Entry{"greaterthan", is_greater},
    Entry{"le", [](Run& run, const Value& v, const Args& a) { return !is_greater(run, v, a); }},
    Entry{"<=", [](Run& run, const Value& v, const Args& a) { return !is_greater(run, v, a); }},
    Entry{"ge", [](Run& run, const Value& v, const Args& a) { return !is_less(run, v, a); }},
    Entry{">=", [](Run& run, const Value& v, const Args& a) { return !is_less(run, v, a); }},
    Entry{"in", [](Run& run, const Value& v, const Args& a) { return contains(run, operand(run, a), v); }},
    Entry{"upper", is_upper},
    Entry{"lower", is_lower},
};

const Entry* find(std::string_view name) {
  const auto found =
      std::find_if(kTests.begin(), kTests.end(), [&](const Entry& e) { return e.name == name; });
  return found == kTests.end() ? nullptr : &*found;
}

Value range(Run& run, const Args& args) {
  const size_t n = args.positional.size();
  if (n < 1 || n > 3) run.fail("range takes one to three integers");
  for (const Value& v : args.positional)
    if (!v.is_whole()) run.fail("range takes integers, not a {}", v.type_name());
  const int64_t begin = n > 1 ? args.positional[0].whole() : 0;
  const int64_t end = args.positional[n > 1 ? 1 : 0].whole();
  const int64_t step = n > 2 ? args.positional[2].whole() : 1;
  if (step == 0) run.fail("range: the step is zero");
  Values out;
  for (int64_t i = begin; step > 0 ? i < end : i > end;) {
    if (static_cast<int64_t>(out.size()) >= kMaxRange) run.fail("range: more than {} numbers", kMaxRange);
    out.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return run.list(std::move(out));
}

/// dict(a=1, b=2), or of one mapping.
Value dict(Run& run, const Args& args) {
  Pairs pairs;
  if (!args.positional.empty()) {
    if (!args.positional[0].pairs()) run.fail("dict takes a mapping or named values");
    pairs = *args.positional[0].pairs();
  }
  for (const auto& [name, value] : args.named) pairs.emplace_back(name, value);
  return run.map(std::move(pairs));
}

Value make_namespace(Run& run, const Args& args) {
  const auto space = run.make_namespace();
  if (!args.positional.empty()) {
    if (!args.positional[0].pairs()) run.fail("namespace takes a mapping or named values");
    for (const auto& [key, value] : *args.positional[0].pairs())
      space->attributes.emplace_back(to_text(run, key), value);
  }
  for (const auto& [name, value] : args.named) {
    if (name.starts_with('_')) run.fail("a namespace's attribute may not begin with _");
    space->attributes.emplace_back(name, value);
  }
  return space;
}

Value raise_exception(Run& run, const Args& args) {
  run.fail("the template refuses: {}", args.positional.empty() ? "" : to_text(run, args.positional[0]));
}

Value strftime_now(Run& run, const Args& args) {
  if (args.positional.size() != 1 || !args.positional[0].text()) run.fail("strftime_now takes a format");
  std::tm parts{};
  const std::time_t now = run.now();
  localtime_r(&now, &parts);
  std::string format = *args.positional[0].text() + " ";  // so that the result is never empty
  if (format.size() > 200) run.fail("strftime_now: the format is too long");
  char text[4096];
  const size_t n = std::strftime(text, sizeof text, format.c_str(), &parts);
  return run.text(std::string(text, n ? n - 1 : 0));
}

struct Global {
  std::string_view name;
  Value (*call)(Run&, const Args&);
};
constexpr std::array kGlobals = {
    Global{"range", range}, Global{"dict", dict}, Global{"namespace", make_namespace},
    Global{"raise_exception", raise_exception}, Global{"strftime_now", strftime_now}};

}  // namespace

bool is_test(std::string_view name) {
  return find(name) != nullptr;
}

bool apply_test(Run& run, const std::string& name, const Value& value, const Args& args) {
  return find(name)->holds(run, value, args);
}

Value find_global(const std::string& name) {
  for (const Global& g : kGlobals)
    if (g.name == name) return Value::function(name, g.call);
  return {};
}

}  // namespace ft::jinja
