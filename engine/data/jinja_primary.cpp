// What operators work on: literals, names, brackets, and what follows them: attributes, calls, filters,
// tests.
#include <algorithm>

#include "engine/data/jinja_parser.h"
#include "engine/data/jinja_run.h"
#include "engine/io/printable.h"

namespace ft::jinja {

using Kind = Token::Kind;

ExprPtr ExpressionParser::primary() {
  const Token token = now();
  ExprPtr e = make(Expr::Kind::literal, token.line);
  switch (token.kind) {
    case Kind::text: {
      std::string text;
      while (is(Kind::text)) text += take().content;
      e->value = Value(std::move(text));
      return e;
    }
    case Kind::integer:
      take();
      e->value = token.whole;
      return e;
    case Kind::real:
      take();
      e->value = token.number;
      return e;
    case Kind::name:
      take();
      if (token.content == "true" || token.content == "True") {
        e->value = true;
      } else if (token.content == "false" || token.content == "False") {
        e->value = false;
      } else if (token.content == "none" || token.content == "None") {
        e->value = None{};
      } else {
        e->kind = Expr::Kind::name;
        e->text = token.content;
      }
      return e;
    case Kind::op:
      break;
    default:
      fail("expected an expression, got {}", described());
  }
  if (is_op("{")) return map();
  if (take_op("(")) {
    if (take_op(")")) return make(Expr::Kind::tuple, token.line);
    e = tuple_or_expression();
    need_op(")");
    return e;
  }
  if (!take_op("[")) fail("expected an expression, got {}", described());
  e->kind = Expr::Kind::list;
  while (!take_op("]")) {
    if (!e->kids.empty()) need_op(",");
    if (take_op("]")) break;
    adopt(*e, expression());
  }
  return e;
}

ExprPtr ExpressionParser::map() {
  ExprPtr e = make(Expr::Kind::map, take().line);
  while (!take_op("}")) {
    if (!e->kids.empty()) need_op(",");
    if (take_op("}")) break;
    adopt(*e, expression());
    need_op(":");
    adopt(*e, expression());
  }
  return e;
}

ExprPtr ExpressionParser::postfix(ExprPtr value) {
  while (true) {
    const int line = now().line;
    if (take_op(".")) {
      ExprPtr e;
      if (is(Kind::integer)) {
        e = make(Expr::Kind::item, line);
        adopt(*e, std::move(value));
        ExprPtr index = make(Expr::Kind::literal, line);
        index->value = take().whole;
        adopt(*e, std::move(index));
      } else {
        e = make(Expr::Kind::attribute, line, need_name());
        adopt(*e, std::move(value));
      }
      value = std::move(e);
    } else if (take_op("[")) {
      value = subscript(std::move(value));
    } else if (take_op("(")) {
      ExprPtr e = make(Expr::Kind::call, line);
      adopt(*e, std::move(value));
      arguments(*e);
      value = std::move(e);
    } else {
      return value;
    }
  }
}

ExprPtr ExpressionParser::subscript(ExprPtr value) {
  ExprPtr e = make(Expr::Kind::item, now().line);
  adopt(*e, std::move(value));
  const auto bound = [&]() { return is_op(":") || is_op("]") ? nullptr : expression(); };
  ExprPtr first = bound();
  if (first && is_op(",")) fail("an index of several parts is not supported");
  if (!is_op(":")) {
    if (!first) fail("expected an index, got ']'");
    adopt(*e, std::move(first));
  } else {
    e->kind = Expr::Kind::slice;
    adopt(*e, std::move(first));
    for (int i = 0; i < 2; ++i) adopt(*e, take_op(":") ? bound() : nullptr);
  }
  need_op("]");
  return e;
}

void ExpressionParser::arguments(Expr& call) {
  bool first = true;
  while (!take_op(")")) {
    if (!first) need_op(",");
    first = false;
    if (take_op(")")) break;
    if (is_op("*") || is_op("**")) fail("arguments that are unpacked ({}) are not supported", now().content);
    if (is(Kind::name) && ahead(1).kind == Kind::op && ahead(1).content == "=") {
      std::string name = take().content;
      take();
      ExprPtr value = expression();
      call.depth = std::max(call.depth, value->depth + 1);
      check_depth(call);
      call.named.emplace_back(std::move(name), std::move(value));
    } else {
      if (!call.named.empty()) fail("an argument without a name stands behind one with a name");
      adopt(call, expression());
    }
  }
}

ExprPtr ExpressionParser::filters(ExprPtr value, bool named) {
  while (true) {
    if (named || take_op("|")) {
      named = false;
      const int line = now().line;
      std::string name = need_name();
      while (take_op(".")) name += "." + need_name();
      if (!is_filter(name)) fail("the filter '{}' is not supported", printable(name, 60));
      ExprPtr e = make(Expr::Kind::filter, line, std::move(name));
      adopt(*e, std::move(value));
      if (take_op("(")) arguments(*e);
      value = std::move(e);
    } else if (take_word("is")) {
      value = test(std::move(value));
    } else if (is_op("(")) {
      value = postfix(std::move(value));
    } else {
      return value;
    }
  }
}

ExprPtr ExpressionParser::test(ExprPtr value) {
  const int line = now().line;
  const bool negated = take_word("not");
  std::string name = need_name();
  if (!is_test(name)) fail("the test '{}' is not supported", printable(name, 60));
  ExprPtr e = make(Expr::Kind::test, line, std::move(name));
  adopt(*e, std::move(value));
  const bool operand =
      is(Kind::name) || is(Kind::text) || is(Kind::integer) || is(Kind::real) || is_op("[") || is_op("{");
  if (take_op("(")) {
    arguments(*e);
  } else if (operand && !is_word("else") && !is_word("or") && !is_word("and") && !is_word("if") &&
             !is_word("is")) {
    adopt(*e, postfix(primary()));
  }
  if (!negated) return e;
  ExprPtr n = make(Expr::Kind::unary, line, "not");
  adopt(*n, std::move(e));
  return n;
}

}  // namespace ft::jinja
