// Function bodies of PTX: declarations, labels, scopes and instructions in the order of the text.
#include <array>
#include <map>

#include "engine/core/check.h"
#include "kernels/sim/ptx_parser.h"

namespace ft::sim::ptx {
namespace {

// File, line and column; `callers` says where the code of a place was inlined to.
using Place = std::array<uint32_t, 3>;
using Callers = std::map<Place, Place>;

Place parse_numbers(Cursor& cursor) {
  Place place{};
  for (uint32_t& number : place) number = static_cast<uint32_t>(cursor.integer());
  return place;
}

// ".loc file line column[, function_name $label, inlined_at file line column]"
Place parse_place(Cursor& cursor, Callers& callers) {
  const Place place = parse_numbers(cursor);
  callers.erase(place);
  while (cursor.accept(",")) {
    const std::string_view what = cursor.word();
    if (what == "function_name") {
      cursor.word();
      if (cursor.accept("+")) cursor.integer();
    } else {
      callers[place] = parse_numbers(cursor);
    }
  }
  return place;
}

// The line of the kernel itself from which the inlined calls led to `place`.
Place outermost(Place place, const Callers& callers) {
  for (int depth = 0; depth < 16; ++depth) {
    const auto caller = callers.find(place);
    if (caller == callers.end()) break;
    place = caller->second;
  }
  return place;
}

std::vector<Operand> parse_call_list(Cursor& cursor) {
  std::vector<Operand> list;
  cursor.expect("(");
  while (!cursor.accept(")")) {
    list.push_back(parse_operand(cursor));
    if (!cursor.is(")")) cursor.expect(",");
  }
  return list;
}

Instruction parse_instruction(Cursor& cursor) {
  Instruction instruction;
  if (cursor.accept("@")) {
    instruction.guard_negated = cursor.accept("!");
    instruction.guard = cursor.word();
  }
  instruction.opcode = cursor.word();
  const bool call = instruction.opcode.substr(0, 4) == "call";
  if (call) {
    if (cursor.is("(")) {
      instruction.results = parse_call_list(cursor);
      cursor.expect(",");
    }
    instruction.operands.push_back(parse_operand(cursor));
    if (cursor.accept(",") && cursor.is("(")) instruction.arguments = parse_call_list(cursor);
    if (cursor.accept(",")) cursor.word();  // prototype of an indirect call
  } else {
    while (!cursor.is(";")) {
      instruction.operands.push_back(parse_operand(cursor));
      if (!cursor.is(";")) cursor.expect(",");
    }
  }
  cursor.expect(";");
  return instruction;
}

}  // namespace

std::vector<Statement> parse_body(const Function& function) {
  std::vector<Statement> body;
  Cursor cursor(function.body, function.body_line);
  Place place{};
  Callers callers;
  const auto add = [&](Statement::Kind kind) -> Statement& {
    Statement statement{};
    statement.kind = kind;
    statement.ptx_line = cursor.peek().line;
    statement.file = place[0];
    statement.line = place[1];
    const Place outer = outermost(place, callers);
    statement.outer_file = outer[0];
    statement.outer_line = outer[1];
    body.push_back(std::move(statement));
    return body.back();
  };
  while (!cursor.at_end()) {
    if (cursor.accept(";")) continue;
    if (cursor.accept("{")) {
      add(Statement::Kind::open);
    } else if (cursor.accept("}")) {
      add(Statement::Kind::close);
    } else if (cursor.accept(".loc")) {
      place = parse_place(cursor, callers);
    } else if (cursor.is(".pragma")) {
      while (!cursor.accept(";")) {
        if (cursor.at_end()) cursor.error(";");
        cursor.next();
      }
    } else if (cursor.is(".branchtargets")) {
      cursor.next();
      if (body.empty() || body.back().kind != Statement::Kind::label)
        cursor.error("a label before .branchtargets");
      body.back().kind = Statement::Kind::targets;
      do {
        body.back().targets.push_back(cursor.word());
      } while (cursor.accept(","));
      cursor.expect(";");
    } else if (cursor.is(".callprototype")) {
      cursor.error("a direct call (indirect calls are not interpreted)");
    } else if (cursor.is(".reg") || cursor.is(".local") || cursor.is(".shared") || cursor.is(".param")) {
      Statement& first = add(Statement::Kind::variable);
      first.variable = parse_variable(cursor, false);
      const Variable model = first.variable;
      while (cursor.accept(",")) {  // .reg .b16 low, high;
        Statement& more = add(Statement::Kind::variable);
        more.variable = model;
        more.variable.name = cursor.word();
        more.variable.count = 0;
        if (cursor.accept("<")) {
          more.variable.count = cursor.integer();
          cursor.expect(">");
        }
      }
      cursor.expect(";");
    } else if (cursor.peek().kind == TokenKind::word && cursor.peek(1).text == ":") {
      add(Statement::Kind::label).label = cursor.word();
      cursor.expect(":");
    } else {
      Statement& statement = add(Statement::Kind::instruction);
      statement.instruction = parse_instruction(cursor);
    }
  }
  return body;
}

}  // namespace ft::sim::ptx
