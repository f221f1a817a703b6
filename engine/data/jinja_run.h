// One rendering of a template: its limits, its place for messages, and the operations that both parts of the
// evaluator share.
//
// A template is a stranger's program. A run ends with an error after kMaxSteps evaluated nodes (more for long
// values), or when the bytes of all values that it ever made (and its output) pass a bound, which bounds its
// memory too; nesting is limited by the parser and by kMaxDepth. It reaches nothing but its arguments: no
// files, no attributes of anything but the values of jinja_value.h.
#pragma once

#include <fmt/format.h>

#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/check.h"
#include "engine/data/jinja_value.h"
#include "engine/io/printable.h"

namespace ft::jinja {

constexpr int64_t kMaxSteps = 5'000'000;
constexpr size_t kMaxMade = size_t{96} << 20;
constexpr int kMaxDepth = 800;
constexpr int64_t kMaxRange = 100'000;
constexpr int kMaxValueDepth = 200;

class Run {
 public:
  Run(std::string_view name, std::time_t now) : name_(name), now_(now) {}
  ~Run() {
    for (const auto& space : spaces_) space->attributes.clear();
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  template <class... A>
  [[noreturn]] void fail(fmt::format_string<A...> format, A&&... a) const {
    bad_input("{}:{}: {}", name_, line, printable(fmt::format(format, std::forward<A>(a)...), 400));
  }
  void step(int64_t work = 1) {
    if ((steps_ += work) > kMaxSteps) fail("the template runs for too long");
  }
  /// Accounts for `bytes` of new values; before they are made where a template can choose how many.
  void charge(size_t bytes) {
    if (bytes > kMaxMade || (made_ += bytes) > kMaxMade)
      fail("the template makes more than {} bytes", kMaxMade);
  }
  Value text(std::string s) {
    charge(s.size());
    return Value(std::move(s));
  }
  Value list(Values items, bool tuple = false) {
    charge(items.size() * sizeof(Value));
    return bounded(Value::list(std::move(items), tuple));
  }
  Value map(Pairs items) {
    charge(items.size() * 2 * sizeof(Value));
    return bounded(Value::map(std::move(items)));
  }
  Value bounded(Value v) const {
    if (v.depth() > kMaxValueDepth) fail("a value nests more than {} levels", kMaxValueDepth);
    return v;
  }
  std::shared_ptr<Namespace> make_namespace() {
    charge(sizeof(Namespace));
    return spaces_.emplace_back(std::make_shared<Namespace>());
  }
  std::time_t now() const { return now_; }

  int line = 1;   // of the node that is evaluated
  int depth = 0;  // of nested evaluation

 private:
  std::string_view name_;
  std::time_t now_;
  int64_t steps_ = 0;
  size_t made_ = 0;
  std::vector<std::shared_ptr<Namespace>> spaces_;
};

/// Holds one level of nested evaluation.
class Level {
 public:
  explicit Level(Run& run) : run_(run) {
    if (++run.depth > kMaxDepth) {
      --run.depth;
      run.fail("the template nests too deeply");
    }
  }
  ~Level() { --run_.depth; }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

 private:
  Run& run_;
};

/// Reads the arguments of a filter, test or method; what is not asked for is an error at the end.
class ArgReader {
 public:
  ArgReader(Run& run, std::string_view what, const Args& args) : run_(run), what_(what), args_(args) {}
  /// The next argument by place or by name; null if it is not given.
  const Value* next(std::string_view name);
  const Value& need(std::string_view name);
  /// Text; `fallback` where it is not given.
  std::string text(std::string_view name, std::string_view fallback);
  std::string need_text(std::string_view name);
  int64_t integer(std::string_view name, int64_t fallback);
  bool flag(std::string_view name, bool fallback);
  /// Did the last next() find its argument by place?
  bool by_place() const { return by_place_; }
  /// All that is left by place, and all with a name.
  Values rest();
  std::vector<std::pair<std::string, Value>> take_named() {
    used_named_ = args_.named.size();
    return args_.named;
  }
  void finish() const;

 private:
  Run& run_;
  std::string_view what_;
  const Args& args_;
  size_t at_ = 0, used_named_ = 0;
  bool by_place_ = false;
};

/// What iterating over a value yields: items, keys, characters; nothing for undefined. An error for the rest.
Values iterate(Run& run, const Value& value);
/// value[key], undefined if there is none.
Value get_item(Run& run, const Value& value, const Value& key);
/// value.name as Jinja reads it: a method first, then an item.
Value get_attribute(Run& run, const Value& value, const std::string& name);
/// A string's, list's or mapping's method, bound to it; undefined if there is none.
Value find_method(Run& run, const Value& value, const std::string& name);
Value slice(Run& run, const Value& value, const Value& begin, const Value& end, const Value& step);
/// Is `needle` in `hay`?
bool contains(Run& run, const Value& hay, const Value& needle);
int64_t length_of(Run& run, const Value& value);
Value call(Run& run, const Value& callee, const Args& args);

/// A filter or test by name. Throws for an unknown one, which names it.
Value apply_filter(Run& run, const std::string& name, const Value& value, const Args& args);
bool apply_test(Run& run, const std::string& name, const Value& value, const Args& args);
bool is_filter(std::string_view name);
bool is_test(std::string_view name);
/// range, dict, namespace, raise_exception, strftime_now; undefined for another name.
Value find_global(const std::string& name);
/// json.dumps(value, ensure_ascii=False, indent=…); indent < 0: one line.
std::string to_json(Run& run, const Value& value, int64_t indent, std::string_view item_separator,
                    std::string_view key_separator, bool sort_keys);

}  // namespace ft::jinja
