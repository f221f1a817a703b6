// State of decoding one kernel: names and scopes, emitted code, inlined calls. Used by decode*.cpp only.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "kernels/sim/decode.h"

namespace ft::sim {

inline uint64_t round_up(uint64_t value, uint64_t align) {
  return (value + align - 1) / align * align;
}

inline int register_width(ptx::Type type) {
  const int bytes = ptx::bytes_of(type);
  return bytes == 1 ? 2 : bytes;
}

class KernelDecoder {
 public:
  KernelDecoder(const ptx::Module& module, std::string_view kernel, const FindVariable& find,
                uint64_t dynamic_offset);
  std::unique_ptr<Program> run();

  struct Range {
    uint32_t first = 0;
    uint64_t count = 0;
    ptx::Type type{};
  };
  struct Scope {
    int parent = -1;
    std::map<std::string_view, Binding> names;
    std::map<std::string_view, Range> ranges;  // "%r" of "%r<33>"
    std::map<std::string_view, uint32_t> labels;
    std::map<std::string_view, std::vector<std::string_view>> tables;
  };
  struct PendingBranch {
    uint32_t inst;
    int scope;
    std::string_view label;
    int table = -1;
    uint32_t place = 0;
  };

  Binding lookup(std::string_view name);
  const Binding* try_lookup(std::string_view name, Binding& storage);
  uint32_t new_register(int bytes);
  uint32_t special_register(Special which);
  Slot constant(uint64_t bits, int bytes);
  void call(Decoder& d);
  [[noreturn]] void error(const std::string& text) const;

  std::unique_ptr<Program> program;
  std::vector<VirtualRegister> registers;
  std::vector<RegisterAccess> accesses;
  std::vector<PendingBranch> branches;
  std::vector<Scope> scopes;
  int scope = -1;
  size_t depth() const { return stack_.size(); }

 private:
  void function_body(const ptx::Function& function, std::map<std::string_view, Binding> bound);
  void declare(const ptx::Variable& variable);
  void instruction(const ptx::Statement& statement);
  uint64_t shared_variable(const std::string& key, const ptx::Variable& variable);
  uint64_t allocate_local(uint64_t bytes, uint64_t align);
  void emit(Decoder& d, const ptx::Statement& statement);
  void resolve_branches();
  void finish_constants();

  const ptx::Module& module_;
  const ptx::Function* kernel_ = nullptr;
  const FindVariable& find_;
  uint64_t dynamic_offset_;
  std::vector<const ptx::Function*> stack_;
  std::map<std::string, uint64_t> shared_;
  std::map<Special, uint32_t> specials_;
  std::map<std::pair<uint64_t, int>, Slot> constant_slots_;
  std::vector<uint8_t> pool_;
  const ptx::Statement* statement_ = nullptr;
  OpTable ops_;
};

/// A call of a function without a body that the simulator provides (printf, assert). False if it is not one.
bool decode_builtin_call(Decoder& d, std::string_view callee, const std::vector<Binding>& arguments);

}  // namespace ft::sim
