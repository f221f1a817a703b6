// Expressions, as Python evaluates them; integers have 64 bits, and one that does not fit is an error.
#include <algorithm>
#include <cmath>

#include "engine/data/jinja_eval.h"

namespace ft::jinja {
namespace {

/// Python's // and %: towards minus infinity, with the divisor's sign.
int64_t floor_div(int64_t a, int64_t b) {
  const int64_t q = a / b;
  return q - ((a % b != 0) && ((a < 0) != (b < 0)));
}
double floor_mod(double a, double b) {
  const double m = std::fmod(a, b);
  return m != 0 && (m < 0) != (b < 0) ? m + b : m;
}

Value whole_arithmetic(Run& run, const std::string& op, int64_t a, int64_t b) {
  int64_t r = 0;
  bool over = false;
  if (op == "+") {
    over = __builtin_add_overflow(a, b, &r);
  } else if (op == "-") {
    over = __builtin_sub_overflow(a, b, &r);
  } else if (op == "*") {
    over = __builtin_mul_overflow(a, b, &r);
  } else if (op == "**") {
    if (b < 0) return std::pow(static_cast<double>(a), static_cast<double>(b));
    r = 1;
    if (b > 4096 && a != 0 && a != 1 && a != -1) over = true;
    for (int64_t i = 0; i < (a == -1 ? b % 2 : std::min<int64_t>(b, 4096)) && !over; ++i)
      over = __builtin_mul_overflow(r, a, &r);
  } else {
    if (b == 0) run.fail("division by zero");
    if (b == -1) {  // the one quotient that does not fit
      over = op == "//" && __builtin_sub_overflow(int64_t{0}, a, &r);
    } else {
      const int64_t q = floor_div(a, b);
      r = op == "//" ? q : a - q * b;
    }
  }
  if (over) run.fail("an integer of more than 64 bits");
  return r;
}

/// `what` written `times` times.
Value repeated(Run& run, const Value& what, int64_t times) {
  const auto n = static_cast<size_t>(std::max<int64_t>(times, 0));
  if (const std::string* text = what.text()) {
    if (text->empty()) return what;
    if (n > kMaxMade / text->size()) run.charge(kMaxMade + 1);
    run.charge(n * text->size());
    std::string out;
    out.reserve(n * text->size());
    for (size_t i = 0; i < n; ++i) out += *text;
    return Value(std::move(out));
  }
  const Values& items = *what.items();
  if (items.empty()) return what;
  if (n > kMaxMade / sizeof(Value) / items.size()) run.charge(kMaxMade + 1);
  run.charge(n * items.size() * sizeof(Value));
  Values out;
  out.reserve(n * items.size());
  for (size_t i = 0; i < n; ++i) out.insert(out.end(), items.begin(), items.end());
  return Value::list(std::move(out), what.is_tuple());
}

}  // namespace

// What is done with a long value takes time by its length, so having it in hand is what counts as work.
Value Evaluator::eval(const Expr& e) {
  Value v = eval_node(e);
  if (v.text())
    run_.step(static_cast<int64_t>(v.text()->size() / 256));
  else if (v.items())
    run_.step(static_cast<int64_t>(v.items()->size() / 64));
  return v;
}

Value Evaluator::eval_node(const Expr& e) {
  const Level level(run_);
  run_.step();
  run_.line = e.line;
  switch (e.kind) {
    case Expr::Kind::literal:
      return e.value;
    case Expr::Kind::name:
      return look_up(e);
    case Expr::Kind::list:
    case Expr::Kind::tuple: {
      Values items;
      for (const ExprPtr& kid : e.kids) items.push_back(eval(*kid));
      return run_.list(std::move(items), e.kind == Expr::Kind::tuple);
    }
    case Expr::Kind::map: {
      Pairs pairs;
      for (size_t i = 0; i + 1 < e.kids.size(); i += 2) {
        Value key = eval(*e.kids[i]);
        Value value = eval(*e.kids[i + 1]);
        const auto old =
            std::find_if(pairs.begin(), pairs.end(), [&](const auto& p) { return equal(p.first, key); });
        if (old != pairs.end())
          old->second = std::move(value);
        else
          pairs.emplace_back(std::move(key), std::move(value));
      }
      return run_.map(std::move(pairs));
    }
    case Expr::Kind::attribute: {
      const Value of = eval(*e.kids[0]);
      run_.line = e.line;
      return get_attribute(run_, of, e.text);
    }
    case Expr::Kind::item: {
      const Value of = eval(*e.kids[0]);
      return get_item(run_, of, eval(*e.kids[1]));
    }
    case Expr::Kind::slice: {
      const Value of = eval(*e.kids[0]);
      Value bounds[3] = {None{}, None{}, None{}};
      for (size_t i = 0; i < 3; ++i)
        if (e.kids[i + 1]) bounds[i] = eval(*e.kids[i + 1]);
      return slice(run_, of, bounds[0], bounds[1], bounds[2]);
    }
    case Expr::Kind::call: {
      const Value callee = eval(*e.kids[0]);
      const Args args = arguments(e);
      run_.line = e.line;
      return call(run_, callee, args);
    }
    case Expr::Kind::filter: {
      const Value value = eval(*e.kids[0]);
      const Args args = arguments(e);
      run_.line = e.line;
      return apply_filter(run_, e.text, value, args);
    }
    case Expr::Kind::test: {
      const Value value = eval(*e.kids[0]);
      const Args args = arguments(e);
      run_.line = e.line;
      return apply_test(run_, e.text, value, args);
    }
    case Expr::Kind::unary:
      return unary(e);
    case Expr::Kind::binary:
      return binary(e);
    case Expr::Kind::compare:
      return compare(e);
    case Expr::Kind::choice:
      if (eval(*e.kids[1]).truth()) return eval(*e.kids[0]);
      return e.kids[2] ? eval(*e.kids[2]) : Value();
  }
  return {};
}

Value Evaluator::look_up(const Expr& e) {
  if (const Value* found = scope_->find(e.text)) return *found;
  Value global = find_global(e.text);
  return global.is_undefined() ? Value::undefined(e.text) : global;
}

Args Evaluator::arguments(const Expr& e) {
  Args args;
  for (size_t i = 1; i < e.kids.size(); ++i) args.positional.push_back(eval(*e.kids[i]));
  for (const auto& [name, value] : e.named) args.named.emplace_back(name, eval(*value));
  return args;
}

Value Evaluator::unary(const Expr& e) {
  const Value v = eval(*e.kids[0]);
  if (e.text == "not") return !v.truth();
  if (v.is_undefined()) run_.fail("'{}' is undefined", v.undefined_name());
  if (!v.is_number()) run_.fail("'{}' takes a number, not a {}", e.text, v.type_name());
  if (e.text == "+") return v.is_whole() ? Value(v.whole()) : v;
  if (v.real()) return -*v.real();
  return whole_arithmetic(run_, "-", 0, v.whole());
}

Value Evaluator::binary(const Expr& e) {
  Value a = eval(*e.kids[0]);
  if (e.text == "and") return a.truth() ? eval(*e.kids[1]) : a;
  if (e.text == "or") return a.truth() ? a : eval(*e.kids[1]);
  const Value b = eval(*e.kids[1]);
  run_.line = e.line;
  if (e.text == "~") return run_.text(to_text(run_, a) + to_text(run_, b));
  return arithmetic(e.text, a, b);
}

Value Evaluator::arithmetic(const std::string& op, const Value& a, const Value& b) {
  for (const Value* v : {&a, &b})
    if (v->is_undefined()) run_.fail("'{}' is undefined, and stands beside {}", v->undefined_name(), op);
  if (op == "+" && a.text() && b.text()) return run_.text(*a.text() + *b.text());
  if (op == "+" && a.items() && b.items() && a.is_tuple() == b.is_tuple()) {
    Values items = *a.items();
    items.insert(items.end(), b.items()->begin(), b.items()->end());
    return run_.list(std::move(items), a.is_tuple());
  }
  if (op == "*" && (a.text() || a.items()) && b.is_whole()) return repeated(run_, a, b.whole());
  if (op == "*" && (b.text() || b.items()) && a.is_whole()) return repeated(run_, b, a.whole());
  if (op == "%" && a.text()) run_.fail("the formatting of texts by % is not supported; use ~");
  if (!a.is_number() || !b.is_number())
    run_.fail("'{}' does not work on a {} and a {}", op, a.type_name(), b.type_name());
  if (op != "/" && a.is_whole() && b.is_whole()) return whole_arithmetic(run_, op, a.whole(), b.whole());
  const double x = a.number(), y = b.number();
  if (op == "+") return x + y;
  if (op == "-") return x - y;
  if (op == "*") return x * y;
  if (op == "**") return std::pow(x, y);
  if (y == 0) run_.fail("division by zero");
  if (op == "/") return x / y;
  return op == "//" ? std::floor(x / y) : floor_mod(x, y);
}

Value Evaluator::compare(const Expr& e) {
  Value left = eval(*e.kids[0]);
  for (size_t i = 0; i < e.ops.size(); ++i) {
    Value right = eval(*e.kids[i + 1]);
    run_.line = e.line;
    const std::string& op = e.ops[i];
    const bool holds = op == "=="       ? equal(left, right)
                       : op == "!="     ? !equal(left, right)
                       : op == "in"     ? contains(run_, right, left)
                       : op == "not in" ? !contains(run_, right, left)
                       : op == "<"      ? less(run_, left, right)
                       : op == ">"      ? less(run_, right, left)
                       : op == "<="     ? less(run_, left, right) || equal(left, right)
                                        : less(run_, right, left) || equal(left, right);
    if (!holds) return false;
    left = std::move(right);
  }
  return true;
}

}  // namespace ft::jinja
