// A kernel as the interpreter runs it: compact instructions over slots of a warp's register file.
//
// Register file of a warp: one vector of 32 lanes per register, [register][lane], so that an instruction is
// one loop over lanes. A slot is the byte offset of such a vector; bit 0 set means the constant pool of the
// program, where immediates are spread over 32 lanes, so that operands need no cases. Predicates are one bit
// a lane in 4 bytes. Slots are assigned by liveness, which keeps the file of a warp within the L1 cache.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/sim/ptx.h"

namespace ft::sim {

constexpr int lane_count = 32;
using Mask = uint32_t;  // one bit a lane
constexpr Mask full_mask = 0xffffffffu;
using Slot = uint32_t;

struct Warp;
struct Inst;
using Handler = void (*)(Warp&, const Inst&, Mask);

/// What the scheduler has to do for an instruction beside calling its handler.
enum class Flow : uint8_t { plain, branch, branch_table, exit, barrier, warp_sync };

/// What an instruction counts as in the performance counters.
enum class InstClass : uint8_t {
  integer,
  logic,
  float32,
  float64,
  half,
  conversion,
  special,
  move,
  predicate,
  control,
  barrier,
  warp_exchange,
  load_global,
  store_global,
  load_shared,
  store_shared,
  load_local,
  store_local,
  load_const,
  atomic,
  async_copy,
  load_matrix,
  tensor_core,
  count_
};
const char* name_of(InstClass c);

enum class MemorySpace : uint8_t { generic, global, shared, local, param };

struct Inst {
  Handler run = nullptr;
  Slot guard = 0;
  bool guarded = false, guard_negated = false;
  Flow flow = Flow::plain;
  InstClass inst_class = InstClass::control;
  Slot d = 0, a = 0, b = 0, c = 0, e = 0;
  uint32_t list = 0;  // first of the operands in Program::slots, for vectors and fragments
  int64_t imm = 0;    // address offset, branch target, or the handler's own
  uint8_t bytes = 0;  // of one memory access
  uint8_t count = 0;  // operands in the list
  MemorySpace space = MemorySpace::generic;
  uint8_t mode = 0;   // the handler's own: rounding, shuffle kind, ...
  uint8_t flags = 0;  // the handler's own: negated predicate sources, ...
  uint8_t flops = 0;  // floating point operations a lane, fma counts 2; of an mma in units of 256 a warp
};

/// Index of the constant "true" and "false" masks in the constant pool: always the first two words.
constexpr Slot constant_false = 1;
constexpr Slot constant_true = 5;

enum class Special : uint8_t {
  tid_x,
  tid_y,
  tid_z,
  ntid_x,
  ntid_y,
  ntid_z,
  ctaid_x,
  ctaid_y,
  ctaid_z,
  nctaid_x,
  nctaid_y,
  nctaid_z,
  laneid,
  warpid,
  nwarpid,
  smid,
  nsmid,
  gridid,
  lanemask_eq,
  lanemask_le,
  lanemask_lt,
  lanemask_ge,
  lanemask_gt,
  dynamic_smem,
  total_smem,
  count_
};

struct SpecialUse {
  Special special;
  Slot slot;
};

struct SourcePlace {
  uint32_t file = 0, line = 0;
  uint32_t outer_file = 0, outer_line = 0;  // the kernel's line that it was inlined from, or the same
};

struct Parameter {
  uint64_t offset = 0, bytes = 0;
};

struct Program {
  std::string name;           // mangled
  std::string readable_name;  // demangled
  std::vector<Inst> code;
  std::vector<Slot> slots;  // operand lists
  std::vector<SourcePlace> places;
  std::vector<std::string> texts;  // PTX text of each instruction, for messages
  std::vector<std::string> files;
  std::vector<std::vector<uint32_t>> tables;  // of brx.idx
  std::vector<SpecialUse> specials;
  std::vector<std::pair<Slot, uint32_t>> zeroed;  // slot and bytes of what may be read before it is written
  std::vector<Parameter> parameters;
  uint64_t parameter_bytes = 0;
  uint64_t register_bytes = 0;  // of one warp
  uint64_t static_shared = 0;   // bytes; dynamic shared memory follows at dynamic_shared_offset
  uint64_t dynamic_shared_offset = 0;
  uint64_t local_bytes = 0;         // of one thread
  uint32_t max_threads = 0;         // .maxntid, 0 if none
  uint32_t live_registers = 0;      // 32-bit registers a thread holds at most, as this allocation counts
  std::shared_ptr<char> constants;  // the constant pool, 64-byte aligned

  /// "file.cu:12" of an instruction, "helper.cuh:3 from file.cu:12" of an inlined one, or the PTX text where
  /// there is no line information.
  std::string place_of(uint32_t pc) const;
};

}  // namespace ft::sim
