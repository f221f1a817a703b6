// Turns a parsed kernel into a Program: calls are inlined, names resolved, every opcode matched with all of
// its modifiers by the tables of the ops_*.cpp files. An opcode, modifier or operand that is not understood
// is an error that names itself and its source line; nothing is skipped silently.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string_view>

#include "kernels/sim/program.h"

namespace ft::sim {

/// Address of a module's .global or .const variable; throws for unknown names.
using FindVariable = std::function<uint64_t(std::string_view name)>;

/// Throws ft::Error "kernel …, file:line: …". The module must outlive the program only during the call.
std::unique_ptr<Program> decode(const ptx::Module& module, std::string_view kernel, const FindVariable& find);

/// A virtual register before slots are assigned. `bytes` is 2, 4, 8, 16 per lane, or 0 for a predicate.
struct VirtualRegister {
  uint8_t bytes = 0;
  bool special = false;
  Special which{};
};

/// Where an instruction names a virtual register: a field of Inst, or entry `list_index` of Program::slots.
struct RegisterAccess {
  uint32_t inst = 0;
  uint32_t reg = 0;
  Slot Inst::*field = nullptr;
  uint32_t list_index = 0;
  bool write = false;
};

/// Assigns slots by liveness: two registers share one only if no thread ever needs both. accesses is in
/// instruction order; branch targets are final.
void allocate_registers(Program& program, const std::vector<VirtualRegister>& registers,
                        const std::vector<RegisterAccess>& accesses);

struct Binding {
  enum class Kind : uint8_t { reg, local, shared, param, address } kind;
  ptx::Type type = ptx::Type::none;
  uint64_t value = 0;  // virtual register, offset in its space, or host address
  uint64_t bytes = 0;
};

/// The decoder as the opcode tables see it: the modifiers and operands of one instruction, and its Inst.
class Decoder {
 public:
  const ptx::Instruction* source = nullptr;
  Inst inst;

  // Modifiers. Each must be taken by someone.
  bool take(std::string_view modifier);
  /// The first of the words that is present, taken; its index, or `otherwise`.
  int take_one(std::initializer_list<std::string_view> words, int otherwise = -1);
  /// Next type modifier in order of the text; error if there is none.
  ptx::Type take_type();
  std::optional<ptx::Type> try_type();
  /// Takes .cta, .gpu, .sys, .relaxed, cache hints and the like, which change nothing here.
  void ignore_memory_modifiers();

  // Operands.
  size_t operand_count() const { return source->operands.size(); }
  const ptx::Operand& operand(size_t i) const;
  void expect_operands(size_t low, size_t high) const;
  bool is_register(const ptx::Operand& operand) const;
  /// Bytes of the register that the operand names; of an immediate `otherwise`.
  int register_bytes(const ptx::Operand& operand, int otherwise) const;
  /// Names the register that is written; its width must be `bytes` (0: a predicate).
  void write(Slot Inst::*field, const ptx::Operand& operand, int bytes);
  /// A source: register of `bytes` bytes, special register, immediate (as `type` says), address of a
  /// variable.
  void read(Slot Inst::*field, const ptx::Operand& operand, ptx::Type type);
  /// A source whose register may be wider than `type`; returns the register's bytes.
  int read_wide(Slot Inst::*field, const ptx::Operand& operand, ptx::Type type);
  void read_predicate(Slot Inst::*field, const ptx::Operand& operand);  // negation is the caller's to read
  /// [base+offset] into inst.a, imm, space, and checks the width of the base.
  void address(const ptx::Operand& operand, MemorySpace space);
  /// The address is a register plus an offset, not a variable or a number.
  bool has_base_register(const ptx::Operand& address) const;
  /// The space that "ld.param" means for this operand: a kernel's parameter or a variable of an inlined call.
  MemorySpace param_space(const ptx::Operand& operand) const;
  /// Elements of {a,b,…} or the operand itself, appended to the operand list.
  void list_read(const ptx::Operand& operand, ptx::Type type);
  void list_write(const ptx::Operand& operand, int bytes);
  /// A number that the handler finds in the operand list.
  void list_constant(Slot value);
  /// Sinks "_" in a written list get a scratch register.
  size_t list_size(const ptx::Operand& operand) const;
  Slot constant(uint64_t bits, int bytes);
  uint32_t scratch(int bytes);

  [[noreturn]] void error(const std::string& text) const;
  /// The label's instruction becomes inst.imm of the instruction that is decoded.
  void branch_to(std::string_view label);
  void branch_table(std::string_view name);

 private:
  friend class KernelDecoder;
  std::vector<std::string_view> parts_;  // modifiers with their dots; taken ones are emptied
  class KernelDecoder* kernel_ = nullptr;
  void list_append(uint32_t reg, bool write);
};

/// Decodes one opcode into d.inst; registered under the opcode's first word ("ld", "fma").
using DecodeOp = void (*)(Decoder& d);
using OpTable = std::map<std::string_view, DecodeOp>;

void add_integer_ops(OpTable& table);
void add_logic_ops(OpTable& table);
void add_bit_ops(OpTable& table);
void add_special_ops(OpTable& table);
void add_compare_ops(OpTable& table);
void add_convert_ops(OpTable& table);
void add_move_ops(OpTable& table);
void add_memory_ops(OpTable& table);
void add_atomic_ops(OpTable& table);
void add_async_ops(OpTable& table);
void add_warp_ops(OpTable& table);
void add_mma_ops(OpTable& table);
void add_control_ops(OpTable& table);

}  // namespace ft::sim
