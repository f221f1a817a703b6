// Operators, from the loosest to the tightest; what they work on is in jinja_primary.cpp.
#include "engine/data/jinja_parser.h"

#include <algorithm>
#include <array>

#include "engine/io/printable.h"

namespace ft::jinja {
namespace {

using Kind = Token::Kind;

constexpr int kMaxNesting = 100;  // of brackets: each costs a dozen frames of this parser

// From the loosest to the tightest; each level associates to the left.
constexpr int kLevels = 4;
constexpr std::array<std::array<std::string_view, 4>, kLevels> kBinary = {{
    {"+", "-", "", ""},
    {"~", "", "", ""},
    {"*", "/", "//", "%"},
    {"**", "", "", ""},
}};

}  // namespace

std::string ExpressionParser::described() const {
  switch (now().kind) {
    case Kind::close_block:
      return "the end of the block";
    case Kind::close_output:
      return "the end of the output";
    case Kind::end:
      return "the end of the template";
    case Kind::text:
      return "a text";
    default:
      return "'" + printable(now().content, 40) + "'";
  }
}

void ExpressionParser::need_op(std::string_view op) {
  if (!take_op(op)) fail("expected '{}', got {}", op, described());
}

std::string ExpressionParser::need_name() {
  if (!is(Kind::name)) fail("expected a name, got {}", described());
  return take().content;
}

ExprPtr ExpressionParser::make(Expr::Kind kind, int line, std::string text) {
  auto e = std::make_unique<Expr>();
  e->kind = kind;
  e->line = line;
  e->text = std::move(text);
  return e;
}

void ExpressionParser::check_depth(const Expr& e) const {
  if (e.depth > kMaxNodeDepth) fail("the expression is too long or nests too deeply");
}

void ExpressionParser::adopt(Expr& parent, ExprPtr kid) {
  if (kid) parent.depth = std::max(parent.depth, kid->depth + 1);
  check_depth(parent);
  parent.kids.push_back(std::move(kid));
}

ExprPtr ExpressionParser::expression(bool with_choice) {
  if (++depth_ > kMaxNesting) fail("the expression nests too deeply");
  ExprPtr value = disjunction();
  while (with_choice && is_word("if")) {
    ExprPtr choice = make(Expr::Kind::choice, take().line);
    adopt(*choice, std::move(value));
    adopt(*choice, disjunction());
    adopt(*choice, take_word("else") ? expression() : nullptr);
    value = std::move(choice);
  }
  --depth_;
  return value;
}

ExprPtr ExpressionParser::tuple_or_expression(bool with_choice) {
  ExprPtr first = expression(with_choice);
  if (!is_op(",")) return first;
  ExprPtr tuple = make(Expr::Kind::tuple, first->line);
  adopt(*tuple, std::move(first));
  while (take_op(",")) {
    if (is(Kind::close_block) || is(Kind::close_output) || is_op(")") || is_op("=") || is_word("in")) break;
    adopt(*tuple, expression(with_choice));
  }
  return tuple;
}

ExprPtr ExpressionParser::disjunction() {
  ExprPtr left = conjunction();
  while (is_word("or")) {
    ExprPtr both = make(Expr::Kind::binary, take().line, "or");
    adopt(*both, std::move(left));
    adopt(*both, conjunction());
    left = std::move(both);
  }
  return left;
}

ExprPtr ExpressionParser::conjunction() {
  ExprPtr left = negation();
  while (is_word("and")) {
    ExprPtr both = make(Expr::Kind::binary, take().line, "and");
    adopt(*both, std::move(left));
    adopt(*both, negation());
    left = std::move(both);
  }
  return left;
}

ExprPtr ExpressionParser::negation() {
  int line = now().line, nots = 0;
  while (take_word("not"))
    if (++nots > kMaxNesting) fail("the expression nests too deeply");
  ExprPtr value = comparison();
  for (; nots > 0; --nots) {
    ExprPtr inner = std::move(value);
    value = make(Expr::Kind::unary, line, "not");
    adopt(*value, std::move(inner));
  }
  return value;
}

ExprPtr ExpressionParser::comparison() {
  ExprPtr first = binary(0);
  ExprPtr chain;
  while (true) {
    std::string op;
    if (is_op("==") || is_op("!=") || is_op("<") || is_op("<=") || is_op(">") || is_op(">=") ||
        is_word("in")) {
      op = now().content;
    } else if (is_word("not") && ahead(1).kind == Kind::name && ahead(1).content == "in") {
      take();
      op = "not in";
    } else {
      break;
    }
    const int line = take().line;
    if (!chain) {
      chain = make(Expr::Kind::compare, line);
      adopt(*chain, std::move(first));
    }
    chain->ops.push_back(std::move(op));
    adopt(*chain, binary(0));
  }
  return chain ? std::move(chain) : std::move(first);
}

ExprPtr ExpressionParser::binary(int level) {
  if (level == kLevels) return unary(true);
  ExprPtr left = binary(level + 1);
  const auto& ops = kBinary[static_cast<size_t>(level)];
  while (is(Kind::op) && std::find(ops.begin(), ops.end(), now().content) != ops.end()) {
    const Token op = take();
    ExprPtr both = make(Expr::Kind::binary, op.line, op.content);
    adopt(*both, std::move(left));
    adopt(*both, binary(level + 1));
    left = std::move(both);
  }
  return left;
}

ExprPtr ExpressionParser::unary(bool with_filters) {
  ExprPtr value;
  if (is_op("-") || is_op("+")) {
    if (++depth_ > kMaxNesting) fail("the expression nests too deeply");
    const Token sign = take();
    value = make(Expr::Kind::unary, sign.line, sign.content);
    adopt(*value, unary(false));
    --depth_;
  } else {
    value = primary();
  }
  value = postfix(std::move(value));
  return with_filters ? filters(std::move(value), false) : std::move(value);
}

}  // namespace ft::jinja
