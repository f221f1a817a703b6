// Filters of lists and mappings.
#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "engine/data/jinja_filters.h"
#include "engine/data/jinja_text.h"

namespace ft::jinja {
namespace {

/// What `attribute` ("a.b.0") of a value is.
Value attribute_of(Run& run, Value value, const Value& attribute) {
  if (attribute.is_whole()) return get_item(run, value, attribute);
  if (!attribute.text()) run.fail("an attribute's name is a {}", attribute.type_name());
  for (const std::string& part : split(*attribute.text(), ".", -1, false)) {
    int64_t index = 0;
    const auto read = std::from_chars(part.data(), part.data() + part.size(), index);
    const bool whole = read.ec == std::errc() && read.ptr == part.data() + part.size();
    value = get_item(run, value, whole ? Value(index) : Value(part));
  }
  return value;
}

/// The named argument `attribute`, applied; the value itself without one.
struct Keyed {
  const Value* attribute;
  Value operator()(Run& run, const Value& v) const {
    return attribute && !attribute->is_none() ? attribute_of(run, v, *attribute) : v;
  }
};

Value folded(const Value& v, bool case_sensitive) {
  return v.text() && !case_sensitive ? Value(lower(*v.text())) : v;
}

template <bool last>
Value end_item(Run& run, const Value& v, ArgReader&) {
  const Values all = iterate(run, v);
  if (all.empty()) return Value::undefined(last ? "last" : "first");
  return last ? all.back() : all.front();
}

Value list_filter(Run& run, const Value& v, ArgReader&) {
  return run.list(iterate(run, v));
}

Value reverse(Run& run, const Value& v, ArgReader&) {
  if (v.text()) return slice(run, v, None{}, None{}, int64_t{-1});
  Values all = iterate(run, v);
  std::reverse(all.begin(), all.end());
  return run.list(std::move(all));
}

Value join(Run& run, const Value& v, ArgReader& args) {
  const std::string between = args.text("d", "");
  const Keyed key{args.next("attribute")};
  std::string out;
  bool first = true;
  for (const Value& item : iterate(run, v)) {
    const std::string part = to_text(run, key(run, item));
    run.charge(part.size() + between.size());
    if (!std::exchange(first, false)) out += between;
    out += part;
  }
  return Value(std::move(out));
}

Value sort(Run& run, const Value& v, ArgReader& args) {
  const bool backwards = args.flag("reverse", false), case_sensitive = args.flag("case_sensitive", false);
  const Keyed key{args.next("attribute")};
  std::vector<std::pair<Value, Value>> all;
  for (const Value& item : iterate(run, v)) all.emplace_back(folded(key(run, item), case_sensitive), item);
  std::stable_sort(all.begin(), all.end(), [&](const auto& a, const auto& b) {
    return backwards ? less(run, b.first, a.first) : less(run, a.first, b.first);
  });
  Values out;
  for (auto& [k, item] : all) out.push_back(std::move(item));
  return run.list(std::move(out));
}

Value unique(Run& run, const Value& v, ArgReader& args) {
  const bool case_sensitive = args.flag("case_sensitive", false);
  const Keyed key{args.next("attribute")};
  Values keys, out;
  for (const Value& item : iterate(run, v)) {
    const Value k = folded(key(run, item), case_sensitive);
    run.charge(keys.size());
    if (std::any_of(keys.begin(), keys.end(), [&](const Value& known) { return equal(known, k); })) continue;
    keys.push_back(k);
    out.push_back(item);
  }
  return run.list(std::move(out));
}

template <bool largest>
Value extreme(Run& run, const Value& v, ArgReader& args) {
  const bool case_sensitive = args.flag("case_sensitive", false);
  const Keyed key{args.next("attribute")};
  const Values all = iterate(run, v);
  if (all.empty()) return Value::undefined(largest ? "max" : "min");
  const auto of = [&](const Value& item) { return folded(key(run, item), case_sensitive); };
  size_t best = 0;
  for (size_t i = 1; i < all.size(); ++i)
    if (largest ? less(run, of(all[best]), of(all[i])) : less(run, of(all[i]), of(all[best]))) best = i;
  return all[best];
}

Value sum(Run& run, const Value& v, ArgReader& args) {
  const Keyed key{args.next("attribute")};
  int64_t whole = 0;
  double real = 0;
  bool any_real = false;
  for (const Value& item : iterate(run, v)) {
    const Value n = key(run, item);
    if (!n.is_number()) run.fail("sum takes numbers, not a {}", n.type_name());
    any_real |= n.real() != nullptr;
    real += n.number();
    if (n.is_whole() && __builtin_add_overflow(whole, n.whole(), &whole))
      run.fail("an integer of more than 64 bits");
  }
  return any_real ? Value(real) : Value(whole);
}

Value dictsort(Run& run, const Value& v, ArgReader& args) {
  const bool case_sensitive = args.flag("case_sensitive", false);
  const bool by_value = args.text("by", "key") == "value";
  const bool backwards = args.flag("reverse", false);
  if (!v.pairs()) run.fail("dictsort takes a mapping, not a {}", v.type_name());
  Pairs pairs = *v.pairs();
  const auto of = [&](const auto& p) { return folded(by_value ? p.second : p.first, case_sensitive); };
  std::stable_sort(pairs.begin(), pairs.end(), [&](const auto& a, const auto& b) {
    return backwards ? less(run, of(b), of(a)) : less(run, of(a), of(b));
  });
  Values out;
  for (auto& [key, value] : pairs) out.push_back(run.list({key, value}, true));
  return run.list(std::move(out));
}

Value map_filter(Run& run, const Value& v, ArgReader& args) {
  const Value* attribute = nullptr;
  Args inner;
  std::string name;
  if (const Value* first = args.next("attribute"); first && args.by_place()) {
    name = first->text() ? *first->text() : "";
    if (!is_filter(name)) run.fail("map: the filter '{}' is not supported", name);
    inner.positional = args.rest();
    inner.named = args.take_named();
  } else {
    attribute = first;
  }
  const Value* fallback = attribute ? args.next("default") : nullptr;
  if (!attribute && name.empty()) run.fail("map needs attribute=… or a filter's name");
  Values out;
  for (const Value& item : iterate(run, v)) {
    Value mapped = attribute ? attribute_of(run, item, *attribute) : apply_filter(run, name, item, inner);
    out.push_back(mapped.is_undefined() && fallback ? *fallback : std::move(mapped));
  }
  return run.list(std::move(out));
}

/// select, reject, selectattr, rejectattr.
template <bool by_attribute, bool keep>
Value chosen(Run& run, const Value& v, ArgReader& args) {
  const Value* attribute = by_attribute ? &args.need("attribute") : nullptr;
  const Value* test = args.next("test");
  Args inner;
  inner.positional = args.rest();
  if (test && (!test->text() || !is_test(*test->text())))
    run.fail("the test '{}' is not supported", to_text(run, *test));
  Values out;
  for (const Value& item : iterate(run, v)) {
    const Value what = attribute ? attribute_of(run, item, *attribute) : item;
    const bool holds = test ? apply_test(run, *test->text(), what, inner) : what.truth();
    if (holds == keep) out.push_back(item);
  }
  return run.list(std::move(out));
}

Value batch(Run& run, const Value& v, ArgReader& args) {
  const int64_t n = args.integer("linecount", 0);
  const Value* fill = args.next("fill_with");
  if (n < 1 || n > kMaxRange) run.fail("batch takes a number of items");
  Values out, part;
  for (const Value& item : iterate(run, v)) {
    part.push_back(item);
    if (static_cast<int64_t>(part.size()) < n) continue;
    out.push_back(run.list(std::exchange(part, {})));
  }
  if (!part.empty()) {
    while (fill && !fill->is_none() && static_cast<int64_t>(part.size()) < n) part.push_back(*fill);
    out.push_back(run.list(std::move(part)));
  }
  return run.list(std::move(out));
}

constexpr std::array kFilters = {
    FilterEntry{"join", join},
    FilterEntry{"first", end_item<false>},
    FilterEntry{"last", end_item<true>},
    FilterEntry{"list", list_filter},
    FilterEntry{"reverse", reverse},
    FilterEntry{"sort", sort},
    FilterEntry{"unique", unique},
    FilterEntry{"min", extreme<false>},
    FilterEntry{"max", extreme<true>},
    FilterEntry{"sum", sum},
    FilterEntry{"dictsort", dictsort},
    FilterEntry{"map", map_filter},
    FilterEntry{"select", chosen<false, true>},
    FilterEntry{"reject", chosen<false, false>},
    FilterEntry{"selectattr", chosen<true, true>},
    FilterEntry{"rejectattr", chosen<true, false>},
    FilterEntry{"batch", batch},
};

}  // namespace

std::span<const FilterEntry> list_filters() {
  return kFilters;
}

}  // namespace ft::jinja
