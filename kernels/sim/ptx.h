// A PTX module as data: what nvcc wrote, with names resolved to nothing yet. Function bodies are kept as text
// until a kernel needs them, so that registering many kernels costs little.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/sim/ptx_lexer.h"

namespace ft::sim::ptx {

enum class Type : uint8_t {
  none,
  pred,
  b8,
  b16,
  b32,
  b64,
  b128,
  u8,
  u16,
  u32,
  u64,
  s8,
  s16,
  s32,
  s64,
  f16,
  f16x2,
  bf16,
  bf16x2,
  f32,
  f64,
  tf32
};
/// Bytes of one value of the type; a predicate counts 0.
int bytes_of(Type type);
bool is_signed(Type type);
/// The type that ".f32" and the like name; Type::none for any other word.
Type type_of(std::string_view name);

enum class Space : uint8_t { none, reg, param, local, shared, global, constant };

/// A variable of any space; for registers `count` is N of "%r<N>" or 0 for one register.
struct Variable {
  Space space = Space::none;
  Type type = Type::none;
  std::string_view name;
  uint64_t bytes = 0, align = 1, count = 0;
  bool external = false;  // .extern: dynamic shared memory where its size is 0
  std::vector<std::pair<uint64_t, std::string_view>>
      symbols;                   // initialisers that are addresses: offset, name
  std::vector<uint8_t> initial;  // initial bytes, may be shorter than `bytes`
};

struct Operand {
  enum class Kind : uint8_t { name, integer, float32, float64, address, vector, sink };
  Kind kind = Kind::sink;
  bool negated = false;     // !%p, or - before a register
  std::string_view name;    // register, variable, label or function; base of an address
  std::string_view second;  // q of %p|%q
  uint64_t bits = 0;        // value of an immediate
  int64_t offset = 0;       // added to an address
  std::vector<Operand> elements;
};

struct Instruction {
  std::string_view opcode;  // with modifiers, "ld.global.v4.f32"
  std::string_view guard;   // predicate register or empty
  bool guard_negated = false;
  std::vector<Operand> operands;            // of a call: callee only
  std::vector<Operand> results, arguments;  // of a call
};

struct Statement {
  enum class Kind : uint8_t { instruction, label, open, close, variable, targets };
  Kind kind;
  uint32_t ptx_line = 0, file = 0, line = 0;  // source place from the last .loc
  uint32_t outer_file = 0, outer_line = 0;    // the kernel's line that it was inlined from, or the same
  std::string_view label;
  Variable variable;
  Instruction instruction;
  std::vector<std::string_view> targets;  // .branchtargets
};

struct Function {
  std::string_view name;
  bool entry = false;
  std::vector<Variable> results, parameters;
  std::string_view body;  // text between the braces; empty for a declaration
  uint32_t body_line = 0;
  std::array<uint32_t, 3> required_threads{};  // .reqntid, zeros if absent
  uint32_t max_threads = 0;                    // .maxntid's product, 0 if absent
};

struct Module {
  std::string text;
  std::string target;
  std::map<std::string_view, Function> functions;
  std::vector<Variable> variables;
  std::map<uint32_t, std::string_view> files;
};

/// Parses declarations, variables and headers; bodies stay text. Throws ft::Error that names the line.
/// The views of `module` point into module.text: a Module must not be moved after this.
void parse_module(Module& module, std::string text);

/// Parses the body of a function of a parsed module.
std::vector<Statement> parse_body(const Function& function);

}  // namespace ft::sim::ptx
