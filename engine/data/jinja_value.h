// Values of Jinja templates: Python's, as far as chat templates use them.
//
// A value is immutable and cheap to copy; what it holds is shared. The one exception is a namespace, whose
// attributes a template may set; a Run owns those (jinja_run.h) and empties them at its end, so that a cycle
// through one does not outlive it. Texts are UTF-8; their lengths and indices count code points, as in
// Python.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace ft::jinja {

class Run;
class Value;

using Values = std::vector<Value>;
using Pairs = std::vector<std::pair<Value, Value>>;

struct Undefined {
  std::shared_ptr<const std::string> name;  // what was looked for
};
struct None {};

/// Arguments of a call, a filter or a test.
struct Args {
  Values positional;
  std::vector<std::pair<std::string, Value>> named;
};

struct ListData;
struct MapData;
struct Namespace;
struct Function;
struct Loop;

class Value {
 public:
  Value() = default;  // undefined, without a name
  Value(Undefined u) : data_(std::move(u)) {}
  Value(None n) : data_(n) {}
  Value(bool b) : data_(b) {}
  Value(int64_t i) : data_(i) {}
  Value(double d) : data_(d) {}
  Value(std::string text) : data_(std::make_shared<const std::string>(std::move(text))) {}
  Value(const char* text) : Value(std::string(text)) {}
  Value(std::shared_ptr<Namespace> n) : data_(std::move(n)) {}
  Value(std::shared_ptr<const Loop> l) : data_(std::move(l)) {}
  static Value list(Values items, bool tuple = false);
  static Value map(Pairs items);
  static Value undefined(std::string_view name);
  /// `depth`: one more than that of what the function holds.
  static Value function(std::string name, std::function<Value(Run&, const Args&)> call, int depth = 1);
  static Value from_json(const nlohmann::ordered_json& json);

  bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  bool is_none() const { return std::holds_alternative<None>(data_); }
  const bool* boolean() const { return std::get_if<bool>(&data_); }
  const int64_t* integer() const { return std::get_if<int64_t>(&data_); }
  const double* real() const { return std::get_if<double>(&data_); }
  /// Null pointers for another kind of value.
  const std::string* text() const { return held<std::shared_ptr<const std::string>>(); }
  const Values* items() const;  // of a list or tuple
  const Pairs* pairs() const;   // of a mapping, in its order
  bool is_tuple() const;
  Namespace* space() const { return held<std::shared_ptr<Namespace>>(); }
  const Function* function() const { return held<std::shared_ptr<const Function>>(); }
  const Loop* loop() const { return held<std::shared_ptr<const Loop>>(); }
  /// An integer, or a boolean as one.
  bool is_whole() const { return integer() || boolean(); }
  int64_t whole() const { return integer() ? *integer() : *boolean(); }
  bool is_number() const { return is_whole() || real(); }
  double number() const { return real() ? *real() : static_cast<double>(whole()); }

  /// The value at a mapping's key; null if it has none.
  const Value* find(const Value& key) const;
  /// Values inside one another, at most; 0 for a value that holds none. Bounded by Run, so that freeing and
  /// walking a value needs little stack.
  int depth() const;
  /// Python's bool().
  bool truth() const;
  /// "str", "int", "dict", …: for messages.
  const char* type_name() const;
  /// What an undefined value was called.
  std::string undefined_name() const;

 private:
  template <class Pointer>
  auto held() const -> decltype(std::declval<Pointer>().get()) {
    const Pointer* p = std::get_if<Pointer>(&data_);
    return p ? p->get() : nullptr;
  }
  std::variant<Undefined, None, bool, int64_t, double, std::shared_ptr<const std::string>,
               std::shared_ptr<const ListData>, std::shared_ptr<const MapData>, std::shared_ptr<Namespace>,
               std::shared_ptr<const Function>, std::shared_ptr<const Loop>>
      data_;
};

struct ListData {
  Values items;
  bool tuple = false;
  int depth = 1;
};
struct MapData {
  Pairs items;
  int depth = 1;
};
struct Namespace {
  std::vector<std::pair<std::string, Value>> attributes;
};
struct Function {
  std::string name;
  std::function<Value(Run&, const Args&)> call;
  int depth = 1;
};
/// What `loop` is inside a for.
struct Loop {
  int64_t index0 = 0, length = 0;
  Value previous, next;
  int depth = 1;
};

/// Python's ==. `depth` bounds the nesting that is looked into.
bool equal(const Value& a, const Value& b, int depth = 0);
/// Python's <; throws for what cannot be ordered.
bool less(Run& run, const Value& a, const Value& b);
/// What {{ value }} writes: str() in Python; nothing for undefined.
std::string to_text(Run& run, const Value& value);
/// repr() in Python: as a value stands inside a printed list.
std::string to_repr(Run& run, const Value& value, int depth = 0);

}  // namespace ft::jinja
