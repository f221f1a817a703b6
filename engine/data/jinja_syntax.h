// The syntax tree of a Jinja template. Every node knows its line; no path through the tree is longer than
// kMaxNodeDepth, so that walking it (and freeing it) needs little stack whatever the template says.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/data/jinja_value.h"

namespace ft::jinja {

constexpr int kMaxNodeDepth = 200;

struct Expr;
struct Stmt;
using ExprPtr = std::unique_ptr<Expr>;
using Block = std::vector<std::unique_ptr<Stmt>>;

struct Expr {
  enum class Kind {
    literal,    // value
    name,       // text
    list,       // kids
    tuple,      // kids
    map,        // kids: key, value, key, value …
    attribute,  // kids[0].text
    item,       // kids[0][kids[1]]
    slice,      // kids[0][kids[1]:kids[2]:kids[3]], null where left out
    call,       // kids[0](kids[1…], named…)
    filter,     // kids[0] | text(kids[1…], named…)
    test,       // kids[0] is text(kids[1…], named…)
    unary,      // text: -, +, not
    binary,     // text: + - * / // % ** ~ and or
    compare,    // kids[0] ops[0] kids[1] ops[1] kids[2] …
    choice,     // kids[0] if kids[1] else kids[2] (null: undefined)
  };
  Kind kind = Kind::literal;
  int line = 1;
  int depth = 1;  // nodes on the longest path down from here
  std::string text;
  Value value;
  std::vector<ExprPtr> kids;
  std::vector<std::pair<std::string, ExprPtr>> named;
  std::vector<std::string> ops;
};

struct Stmt {
  enum class Kind {
    data,       // text
    output,     // value
    branch,     // branches (the else has no condition)
    loop,       // for targets in value [if condition]: body, otherwise
    set,        // targets = value
    set_block,  // target = what body writes, through the filters around value's placeholder
    macro,      // text, parameters, body
    call,       // {% call(parameters) value %} body
    filter,     // what body writes, through value
    with,       // assignments in assigned, body
    plain,      // body: {% generation %}
    stop,       // break
    next,       // continue
  };
  Kind kind = Kind::data;
  int line = 1;
  std::string text;
  std::vector<ExprPtr> targets;  // names, tuples of them, or one attribute
  ExprPtr value, condition;
  std::vector<std::pair<std::string, ExprPtr>> parameters;  // with their defaults, or null
  std::vector<std::pair<ExprPtr, Block>> branches;
  Block body, otherwise;
};

/// The name under which a filter block's text is handed to its filters.
inline constexpr std::string_view kBlockText = "%block%";

/// Throws InputError "NAME:LINE: …" for what is not Jinja, and for what is but has no place here.
Block parse(std::string_view source, std::string_view name);

}  // namespace ft::jinja
