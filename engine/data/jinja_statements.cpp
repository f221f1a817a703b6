// Blocks of a template: {% … %}.
#include <algorithm>
#include <array>
#include <span>

#include "engine/data/jinja_parser.h"
#include "engine/io/printable.h"

namespace ft::jinja {
namespace {

using Kind = Token::Kind;
using Words = std::span<const std::string_view>;

constexpr int kMaxBlocks = 60;  // inside one another

class StatementParser : public ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  Block whole() {
    Block block = until({});
    if (!is(Kind::end)) fail("{} closes nothing", described());
    return block;
  }

 private:
  using StmtPtr = std::unique_ptr<Stmt>;

  StmtPtr make(Stmt::Kind kind, int line) {
    auto s = std::make_unique<Stmt>();
    s->kind = kind;
    s->line = line;
    return s;
  }

  /// Statements up to a block that begins with one of `words`, whose "{%" is then taken.
  Block until(Words words, int opened = 0) {
    if (++nesting_ > kMaxBlocks) fail("the template's blocks nest too deeply");
    Block block;
    while (true) {
      if (is(Kind::end)) {
        if (!words.empty()) fail("the block of line {} is never closed by {{% {} %}}", opened, words.back());
        break;
      }
      const Token token = take();
      if (token.kind == Kind::data) {
        block.push_back(make(Stmt::Kind::data, token.line));
        block.back()->text = token.content;
      } else if (token.kind == Kind::open_output) {
        block.push_back(make(Stmt::Kind::output, token.line));
        block.back()->value = tuple_or_expression();
        if (!is(Kind::close_output)) fail("expected the end of the output, got {}", described());
        take();
      } else {
        if (is(Kind::name) && std::find(words.begin(), words.end(), now().content) != words.end()) break;
        block.push_back(statement(token.line));
      }
    }
    --nesting_;
    return block;
  }

  void close() {
    if (!is(Kind::close_block)) fail("expected the end of the block, got {}", described());
    take();
  }

  /// The body of a block whose head has been read, up to {% word %}.
  Block body(std::string_view word, int line) {
    close();
    Block block = until({&word, 1}, line);
    take();
    close();
    return block;
  }

  StmtPtr statement(int line) {
    const std::string word = need_name();
    if (word == "if") return branch(line);
    if (word == "for") return loop(line);
    if (word == "set") return set(line);
    if (word == "macro") return macro(line);
    if (word == "call") return call(line);
    if (word == "filter") {
      StmtPtr s = make(Stmt::Kind::filter, line);
      s->value = filters(block_text(line), true);
      s->body = body("endfilter", line);
      return s;
    }
    if (word == "with") return with(line);
    if (word == "generation") {
      StmtPtr s = make(Stmt::Kind::plain, line);
      s->body = body("endgeneration", line);
      return s;
    }
    if (word == "break" || word == "continue") {
      if (loops_ == 0) fail("'{}' outside of a loop", word);
      close();
      return make(word == "break" ? Stmt::Kind::stop : Stmt::Kind::next, line);
    }
    constexpr std::array<std::string_view, 8> kClosers = {"endif", "endfor",    "endset",  "endmacro",
                                                          "else",  "endfilter", "endcall", "elif"};
    if (std::find(kClosers.begin(), kClosers.end(), word) != kClosers.end())
      fail("{{% {} %}} closes nothing", word);
    fail("the block {{% {} %}} is not supported", printable(word, 60));
  }

  ExprPtr block_text(int line) {
    return ExpressionParser::make(Expr::Kind::name, line, std::string(kBlockText));
  }

  StmtPtr branch(int line) {
    constexpr std::array<std::string_view, 3> kWords = {"elif", "else", "endif"};
    StmtPtr s = make(Stmt::Kind::branch, line);
    ExprPtr condition = tuple_or_expression();
    while (true) {
      close();
      Block block = until(kWords, line);
      const bool was_else = !condition;
      s->branches.emplace_back(std::move(condition), std::move(block));
      const std::string word = take().content;
      if (word == "endif") break;
      if (was_else) fail("{{% {} %}} behind {{% else %}}", word);
      condition = word == "elif" ? tuple_or_expression() : nullptr;
    }
    close();
    return s;
  }

  ExprPtr target() {
    ExprPtr name = ExpressionParser::make(Expr::Kind::name, now().line, need_name());
    if (!is_op(",")) return name;
    ExprPtr tuple = ExpressionParser::make(Expr::Kind::tuple, name->line);
    adopt(*tuple, std::move(name));
    while (take_op(","))
      if (is(Kind::name) && !is_word("in"))
        adopt(*tuple, ExpressionParser::make(Expr::Kind::name, now().line, need_name()));
    return tuple;
  }

  StmtPtr loop(int line) {
    constexpr std::array<std::string_view, 2> kWords = {"else", "endfor"};
    StmtPtr s = make(Stmt::Kind::loop, line);
    const bool bracket = take_op("(");
    s->targets.push_back(target());
    if (bracket) need_op(")");
    if (!take_word("in")) fail("expected 'in', got {}", described());
    s->value = tuple_or_expression(false);
    if (take_word("if")) s->condition = expression();
    if (is_word("recursive")) fail("a recursive loop is not supported");
    close();
    ++loops_;
    s->body = until(kWords, line);
    --loops_;
    if (take_word("else")) {
      close();
      s->otherwise = until(Words(kWords).subspan(1), line);
    }
    take();
    close();
    return s;
  }

  StmtPtr set(int line) {
    StmtPtr s = make(Stmt::Kind::set, line);
    ExprPtr to = target();
    if (to->kind == Expr::Kind::name && take_op(".")) {
      ExprPtr attribute = ExpressionParser::make(Expr::Kind::attribute, line, need_name());
      adopt(*attribute, std::move(to));
      to = std::move(attribute);
    }
    s->targets.push_back(std::move(to));
    if (take_op("=")) {
      s->value = tuple_or_expression();
      close();
      return s;
    }
    s->kind = Stmt::Kind::set_block;
    s->value = filters(block_text(line), false);
    s->body = body("endset", line);
    return s;
  }

  void parameters(Stmt& s) {
    while (!take_op(")")) {
      if (!s.parameters.empty()) need_op(",");
      if (take_op(")")) break;
      std::string name = need_name();
      ExprPtr fallback = take_op("=") ? expression() : nullptr;
      s.parameters.emplace_back(std::move(name), std::move(fallback));
    }
  }

  StmtPtr macro(int line) {
    StmtPtr s = make(Stmt::Kind::macro, line);
    s->text = need_name();
    need_op("(");
    parameters(*s);
    const int loops = std::exchange(loops_, 0);
    s->body = body("endmacro", line);
    loops_ = loops;
    return s;
  }

  StmtPtr call(int line) {
    StmtPtr s = make(Stmt::Kind::call, line);
    if (take_op("(")) parameters(*s);
    s->value = expression();
    if (s->value->kind != Expr::Kind::call) fail("{{% call %}} takes the call of a macro");
    const int loops = std::exchange(loops_, 0);
    s->body = body("endcall", line);
    loops_ = loops;
    return s;
  }

  StmtPtr with(int line) {
    StmtPtr s = make(Stmt::Kind::with, line);
    while (!is(Kind::close_block)) {
      if (!s->parameters.empty()) need_op(",");
      std::string name = need_name();
      need_op("=");
      s->parameters.emplace_back(std::move(name), expression());
    }
    s->body = body("endwith", line);
    return s;
  }

  int nesting_ = 0, loops_ = 0;
};

}  // namespace

Block parse(std::string_view source, std::string_view name) {
  return StatementParser(tokenize(source, name), name).whole();
}

}  // namespace ft::jinja
