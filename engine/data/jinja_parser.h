// Recursive descent over the tokens of a template: expressions here, statements in jinja_statements.cpp.
#pragma once

#include <string_view>
#include <vector>

#include "engine/core/check.h"
#include "engine/data/jinja_lexer.h"
#include "engine/data/jinja_syntax.h"

namespace ft::jinja {

class ExpressionParser {
 public:
  ExpressionParser(std::vector<Token> tokens, std::string_view name)
      : tokens_(std::move(tokens)), name_(name) {}

  /// One expression; `with_choice`: `a if b else c` is part of it.
  ExprPtr expression(bool with_choice = true);
  /// Expressions with commas between them are a tuple.
  ExprPtr tuple_or_expression(bool with_choice = true);
  /// Behind "(": arguments up to ")", into kids and named.
  void arguments(Expr& call);
  /// kids[0] | filter | filter … (the first name is next if `named` says so).
  ExprPtr filters(ExprPtr value, bool named);

  const Token& now() const { return tokens_[at_]; }
  const Token& ahead(size_t n) const { return tokens_[std::min(at_ + n, tokens_.size() - 1)]; }
  Token take() { return at_ + 1 < tokens_.size() ? tokens_[at_++] : tokens_[at_]; }
  bool is(Token::Kind kind) const { return now().kind == kind; }
  bool is_op(std::string_view op) const { return is(Token::Kind::op) && now().content == op; }
  bool is_word(std::string_view word) const { return is(Token::Kind::name) && now().content == word; }
  bool take_op(std::string_view op) { return is_op(op) && (take(), true); }
  bool take_word(std::string_view word) { return is_word(word) && (take(), true); }
  void need_op(std::string_view op);
  std::string need_name();

  ExprPtr make(Expr::Kind kind, int line, std::string text = {});
  /// Adds a child, which may be null.
  void adopt(Expr& parent, ExprPtr kid);
  void check_depth(const Expr& e) const;

  template <class... A>
  [[noreturn]] void fail(fmt::format_string<A...> format, A&&... a) const {
    bad_input("{}:{}: {}", name_, now().line, fmt::format(format, std::forward<A>(a)...));
  }
  /// What stands here, for messages.
  std::string described() const;

 private:
  ExprPtr disjunction();
  ExprPtr conjunction();
  ExprPtr negation();
  ExprPtr comparison();
  ExprPtr binary(int level);
  ExprPtr unary(bool with_filters);
  ExprPtr primary();
  ExprPtr postfix(ExprPtr value);
  ExprPtr subscript(ExprPtr value);
  ExprPtr test(ExprPtr value);
  ExprPtr map();

  std::vector<Token> tokens_;
  std::string_view name_;
  size_t at_ = 0;
  int depth_ = 0;  // of nested expressions
};

}  // namespace ft::jinja
