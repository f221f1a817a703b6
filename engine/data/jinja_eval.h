// Walks a template's tree: expressions in jinja_expression.cpp, statements in jinja_eval.cpp.
//
// Scopes follow Jinja: the body of a for (anew for each item), of a macro, of a call and of a with have one
// of their own, an if has none; a name that is set stays in the innermost scope.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/data/jinja_run.h"
#include "engine/data/jinja_syntax.h"

namespace ft::jinja {

struct Scope {
  std::shared_ptr<Scope> parent;
  std::vector<std::pair<std::string, Value>> names;

  void set(const std::string& name, Value value);
  const Value* find(const std::string& name) const;
};

class Evaluator {
 public:
  Evaluator(Run& run, std::shared_ptr<Scope> globals) : run_(run), scope_(std::move(globals)) {}

  /// What the block writes. Throws InputError "NAME:LINE: …".
  std::string render(const Block& block);

 private:
  enum class Flow { on, stop, next };
  Flow execute(const Block& block);
  Flow execute(const Stmt& s);
  Flow loop(const Stmt& s);
  void assign(const Expr& target, const Value& value);
  /// The body's text, in a scope of its own.
  std::string captured(const Block& body, std::shared_ptr<Scope> scope);
  Value macro(const Stmt& s);
  std::string call_macro(const Stmt& s, std::shared_ptr<Scope> outer, const Args& args);
  std::shared_ptr<Scope> inner() const { return std::make_shared<Scope>(Scope{scope_, {}}); }
  void write(std::string_view text);

  Value eval(const Expr& e);
  Value eval_node(const Expr& e);
  Value look_up(const Expr& e);
  Value binary(const Expr& e);
  Value unary(const Expr& e);
  Value compare(const Expr& e);
  Value arithmetic(const std::string& op, const Value& a, const Value& b);
  Args arguments(const Expr& e);

  Run& run_;
  std::shared_ptr<Scope> scope_;
  std::string* out_ = nullptr;
};

}  // namespace ft::jinja
