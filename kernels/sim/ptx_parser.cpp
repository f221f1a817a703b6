// Module level of PTX and the grammar of variables and operands.
#include "kernels/sim/ptx_parser.h"

#include <algorithm>

#include "engine/core/check.h"

namespace ft::sim::ptx {
namespace {

Space space_of(std::string_view name) {
  if (name == ".reg") return Space::reg;
  if (name == ".param") return Space::param;
  if (name == ".local") return Space::local;
  if (name == ".shared") return Space::shared;
  if (name == ".global") return Space::global;
  if (name == ".const") return Space::constant;
  return Space::none;
}

void append_bytes(std::vector<uint8_t>& out, uint64_t bits, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<uint8_t>(bits >> (8 * i)));
}

void parse_initialiser(Cursor& cursor, Variable& variable) {
  const int bytes = bytes_of(variable.type);
  const auto one = [&] {
    if (cursor.peek().kind == TokenKind::word) {
      std::string_view name = cursor.word();
      if (name == "generic") {
        cursor.expect("(");
        name = cursor.word();
        cursor.expect(")");
      }
      if (bytes != 8) cursor.error("a 64-bit variable for an address");
      variable.symbols.emplace_back(variable.initial.size(), name);
      uint64_t offset = cursor.accept("+") ? cursor.integer() : 0;
      append_bytes(variable.initial, offset, bytes);
    } else {
      append_bytes(variable.initial, parse_literal(cursor).bits, bytes);
    }
  };
  if (!cursor.accept("{")) return one();
  int depth = 1;  // nested braces of many-dimensional arrays are flat in memory
  while (depth > 0) {
    if (cursor.accept("{")) {
      ++depth;
    } else if (cursor.accept("}")) {
      --depth;
    } else if (!cursor.accept(",")) {
      one();
    }
  }
}

std::vector<Variable> parse_parameters(Cursor& cursor) {
  std::vector<Variable> parameters;
  cursor.expect("(");
  while (!cursor.accept(")")) {
    parameters.push_back(parse_variable(cursor, false));
    if (!cursor.is(")")) cursor.expect(",");
  }
  return parameters;
}

Function parse_function(Cursor& cursor, bool entry, std::string_view text) {
  Function function;
  function.entry = entry;
  while (cursor.is(".noreturn") || cursor.is(".attribute")) {
    if (cursor.next().text == ".attribute") {
      while (!cursor.accept(")")) cursor.next();
    }
  }
  if (cursor.is("(")) function.results = parse_parameters(cursor);
  function.name = cursor.word();
  if (cursor.is("(")) function.parameters = parse_parameters(cursor);
  while (!cursor.is("{") && !cursor.accept(";")) {
    const std::string_view directive = cursor.word();
    std::array<uint32_t, 3> numbers{1, 1, 1};
    for (size_t i = 0; cursor.peek().kind == TokenKind::number; ++i) {
      numbers[std::min<size_t>(i, 2)] = static_cast<uint32_t>(cursor.integer());
      if (!cursor.accept(",")) break;
    }
    if (directive == ".reqntid") function.required_threads = numbers;
    if (directive == ".maxntid") function.max_threads = numbers[0] * numbers[1] * numbers[2];
    if (cursor.peek().kind == TokenKind::string) cursor.next();  // .pragma "..."
    if (cursor.at_end()) cursor.error("a function body");
  }
  if (cursor.is("{")) {
    const Token open = cursor.next();
    cursor.skip_braces();
    const size_t begin = static_cast<size_t>(open.text.data() - text.data()) + 1;
    const size_t end = static_cast<size_t>(cursor.before() - text.data());
    function.body = text.substr(begin, end - begin);
    function.body_line = open.line;
  }
  return function;
}

}  // namespace

Variable parse_variable(Cursor& cursor, bool external) {
  Variable variable;
  variable.external = external;
  variable.space = space_of(cursor.word());
  if (variable.space == Space::none) cursor.error("a state space");
  uint64_t vector = 1;
  while (cursor.peek().kind == TokenKind::word && cursor.peek().text.front() == '.') {
    const std::string_view directive = cursor.word();
    if (directive == ".align") {
      variable.align = std::max<uint64_t>(variable.align, cursor.integer());
    } else if (directive == ".ptr") {
      if (cursor.is(".global") || cursor.is(".shared") || cursor.is(".const") || cursor.is(".local"))
        cursor.next();
      if (cursor.accept(".align")) cursor.integer();  // of what it points to
    } else if (directive == ".v2" || directive == ".v4") {
      vector = directive == ".v2" ? 2 : 4;
    } else if (directive == ".attribute") {
      while (!cursor.accept(")")) cursor.next();
    } else if (variable.type = type_of(directive); variable.type == Type::none) {
      fail("[ptx] line {}: unknown type or directive {}", cursor.peek().line, directive);
    }
  }
  variable.name = cursor.word();
  variable.align = std::max<uint64_t>(variable.align, static_cast<uint64_t>(bytes_of(variable.type)));
  if ((variable.align & (variable.align - 1)) != 0 || variable.align > 65536) cursor.error("a power of two");
  uint64_t elements = vector;
  if (cursor.accept("<")) {
    variable.count = cursor.integer();
    cursor.expect(">");
  }
  while (cursor.accept("[")) {
    elements *= cursor.is("]") ? 0 : cursor.integer();
    cursor.expect("]");
    if (elements > (uint64_t{1} << 34)) cursor.error("an array below 16 GiB");
  }
  variable.bytes = elements * static_cast<uint64_t>(bytes_of(variable.type));
  if (cursor.accept("=")) parse_initialiser(cursor, variable);
  if (variable.bytes == 0 && !variable.initial.empty()) variable.bytes = variable.initial.size();
  if (variable.initial.size() > variable.bytes) cursor.error("at most as many initial values as elements");
  return variable;
}

Operand parse_operand(Cursor& cursor) {
  Operand operand;
  if (cursor.accept("[")) {
    operand.kind = Operand::Kind::address;
    if (cursor.peek().kind == TokenKind::word) operand.name = cursor.word();
    while (!cursor.accept("]")) {
      const bool plus = cursor.accept("+");
      if (!plus && !cursor.is("-") && cursor.peek().kind != TokenKind::number) cursor.error("]");
      operand.offset += static_cast<int64_t>(cursor.integer());
    }
    return operand;
  }
  if (cursor.accept("{")) {
    operand.kind = Operand::Kind::vector;
    while (!cursor.accept("}")) {
      if (cursor.is("{")) cursor.error("a flat list");
      operand.elements.push_back(parse_operand(cursor));
      if (!cursor.is("}")) cursor.expect(",");
    }
    return operand;
  }
  operand.negated = cursor.accept("!");
  if (cursor.peek().kind == TokenKind::number || cursor.is("-")) {
    if (cursor.is("-") && cursor.peek(1).kind == TokenKind::word) cursor.error("a number");
    return parse_literal(cursor);
  }
  const std::string_view name = cursor.word();
  if (name == "_") return operand;
  operand.kind = Operand::Kind::name;
  operand.name = name;
  if (cursor.accept("|")) operand.second = cursor.word();
  if (cursor.accept("+")) operand.offset = static_cast<int64_t>(cursor.integer());
  return operand;
}

void parse_module(Module& module, std::string text) {
  module.text = std::move(text);
  Cursor cursor(module.text, 1);
  while (!cursor.at_end()) {
    if (cursor.accept(";")) continue;
    bool external = false;
    while (cursor.is(".visible") || cursor.is(".weak") || cursor.is(".extern") || cursor.is(".common")) {
      external |= cursor.next().text == ".extern";
    }
    const Token directive = cursor.peek();
    const std::string_view name = cursor.word();
    if (name == ".entry" || name == ".func") {
      Function function = parse_function(cursor, name == ".entry", module.text);
      Function& known = module.functions[function.name];
      if (known.body.empty()) known = std::move(function);  // a definition replaces its declaration
    } else if (name == ".file") {
      const auto index = static_cast<uint32_t>(cursor.integer());
      if (cursor.peek().kind != TokenKind::string) cursor.error("a file name");
      module.files[index] = cursor.next().text;
      while (cursor.accept(",")) cursor.integer();
    } else if (name == ".version" || name == ".address_size") {
      cursor.next();
    } else if (name == ".target") {
      module.target = cursor.word();
      while (cursor.accept(",")) cursor.next();
    } else if (name == ".section") {
      cursor.word();
      cursor.expect("{");
      cursor.skip_braces();
    } else if (name == ".pragma" || name == ".alias") {
      while (!cursor.accept(";")) cursor.next();
    } else if (space_of(name) != Space::none) {
      cursor.back();
      module.variables.push_back(parse_variable(cursor, external));
      cursor.expect(";");
    } else {
      fail("[ptx] line {}: unknown directive {}", directive.line, name);
    }
  }
}

}  // namespace ft::sim::ptx
