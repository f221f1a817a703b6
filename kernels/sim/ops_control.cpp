// Branches, barriers, fences, the end of a thread, and calls of what the CUDA runtime gives to device code.
#include <driver_types.h>

#include <cstdio>

#include "kernels/sim/checker.h"
#include "kernels/sim/decode_kernel.h"
#include "kernels/sim/lanes.h"
#include "kernels/sim/scheduler.h"

namespace ft::sim {
namespace {

using ptx::Type;

void nothing(Warp&, const Inst&, Mask) {}

void decode_bra(Decoder& d) {
  d.take(".uni");
  d.expect_operands(1, 1);
  d.inst.flow = Flow::branch;
  if (d.operand(0).kind != ptx::Operand::Kind::name) d.error("expected a label");
  d.branch_to(d.operand(0).name);
}

void decode_brx(Decoder& d) {
  if (!d.take(".idx")) d.error("expected .idx");
  d.take(".uni");
  d.expect_operands(2, 2);
  d.inst.flow = Flow::branch_table;
  d.read(&Inst::a, d.operand(0), Type::u32);
  d.branch_table(d.operand(1).name);
}

void decode_exit(Decoder& d) {
  d.take(".uni");
  d.expect_operands(0, 0);
  d.inst.flow = Flow::exit;
}

void sync_warp(Warp& w, const Inst&, Mask) {
  ++w.epoch;
}

void decode_barrier(Decoder& d) {
  d.inst.inst_class = InstClass::barrier;
  if (d.take(".warp")) {
    if (!d.take(".sync")) d.error("expected .sync");
    d.expect_operands(1, 1);
    d.inst.flow = Flow::warp_sync;
    d.read(&Inst::e, d.operand(0), Type::b32);
    d.inst.run = sync_warp;
    return;
  }
  d.take(".cta");
  d.inst.flow = Flow::barrier;
  d.inst.b = d.constant(0, 4);
  const int kind = d.take_one({".sync", ".arrive", ".red"});
  d.take(".aligned");
  if (kind == 0 || kind == 1) {
    d.inst.mode = kind == 0 ? barrier_sync : barrier_arrive;
    d.expect_operands(1, 2);
    d.read(&Inst::a, d.operand(0), Type::u32);
    if (d.operand_count() == 2) d.read(&Inst::b, d.operand(1), Type::u32);
    return;
  }
  if (kind < 0) d.error("expected .sync, .arrive or .red");
  const int op = d.take_one({".popc", ".and", ".or"});
  if (op < 0) d.error("expected .popc, .and or .or");
  d.inst.mode = static_cast<uint8_t>(barrier_popc + op);
  d.take_type();
  d.expect_operands(3, 4);
  d.write(&Inst::d, d.operand(0), op == 0 ? 4 : 0);
  d.read(&Inst::a, d.operand(1), Type::u32);
  const size_t last = d.operand_count() - 1;
  if (last == 3) d.read(&Inst::b, d.operand(2), Type::u32);
  d.read_predicate(&Inst::c, d.operand(last));
  d.inst.flags = d.operand(last).negated;
}

// Warps see each other's writes at once here, so fences have nothing to do.
void decode_fence(Decoder& d) {
  d.inst.inst_class = InstClass::control;
  d.take_one({".cta", ".gl", ".sys", ".gpu"});
  d.take_one({".sc", ".acq_rel", ".acquire", ".release"});
  d.take_one({".cta", ".gpu", ".sys", ".cluster"});
  d.inst.run = [](Warp& w, const Inst&, Mask) {
    if (w.block->checker != nullptr) w.block->checker->fence();
  };
}

void decode_nanosleep(Decoder& d) {
  d.inst.inst_class = InstClass::control;
  d.take_type();
  d.inst.run = nothing;
}

void decode_trap(Decoder& d) {
  d.inst.run = [](Warp& w, const Inst& in, Mask m) {
    fault(w, in, std::countr_zero(m), cudaErrorLaunchFailure, "trap");
  };
}

uint64_t local_word(const Warp& w, int lane, int64_t offset, int bytes) {
  const Block& block = *w.block;
  uint64_t value = 0;
  std::memcpy(&value, block.local + block.local_stride * thread_of(w, lane) + offset,
              static_cast<size_t>(bytes));
  return value;
}

// Text at a device address, cut at the end of its allocation.
std::string text_at(const Warp& w, uint64_t address) {
  const Allocation* hit = w.block->launch->memory->find(address);
  if (hit == nullptr) return "?";
  const char* begin = reinterpret_cast<const char*>(address);
  return std::string(begin, strnlen(begin, hit->end() - address));
}

// in.imm: local offset of message, file, line, function; each in its own .param variable.
void assert_failed(Warp& w, const Inst& in, Mask m) {
  const int lane = std::countr_zero(m);
  const Slot* offsets = w.block->program->slots.data() + in.list;
  fault(w, in, lane, cudaErrorAssert,
        fmt::format("assertion `{}` failed in {}:{}", text_at(w, local_word(w, lane, offsets[0], 8)),
                    text_at(w, local_word(w, lane, offsets[1], 8)), local_word(w, lane, offsets[2], 4)));
}

// The arguments lie packed in local memory, each aligned to its size; floats come as doubles.
std::string format_print(const Warp& w, const std::string& format, uint64_t arguments) {
  std::string out;
  uint64_t at = arguments;
  const auto next = [&](uint64_t bytes) {
    at = (at + bytes - 1) / bytes * bytes;
    uint64_t value = 0;
    if (at - reinterpret_cast<uint64_t>(w.block->local) + bytes <=
        w.block->local_stride * w.block->launch->block_threads) {
      std::memcpy(&value, reinterpret_cast<const char*>(at), bytes);
    }
    at += bytes;
    return value;
  };
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      out += format[i];
      continue;
    }
    const size_t end = format.find_first_of("diouxXcsfFeEgGaAp%", i + 1);
    if (end == format.npos) break;
    const std::string given = format.substr(i + 1, end - i - 1);
    const char conversion = format[end];
    i = end;
    // Flags, width and precision pass; the length is ours, so that the argument always has the type that is
    // read.
    const bool wide = given.find_first_of("lzjt") != given.npos;
    std::string one = "%";
    for (const char c : given.substr(0, 20)) {
      if (std::string_view("-+ #0123456789.").find(c) != std::string_view::npos) one += c;
    }
    const bool integer = std::string_view("diouxX").find(conversion) != std::string_view::npos;
    if (integer && wide) one += "ll";
    one += conversion;
    char text[512] = "";
    switch (conversion) {
      case '%':
        out += '%';
        continue;
      case 's':
        std::snprintf(text, sizeof text, one.c_str(), text_at(w, next(8)).c_str());
        break;
      case 'p':
        std::snprintf(text, sizeof text, one.c_str(), reinterpret_cast<void*>(next(8)));
        break;
      case 'f':
      case 'F':
      case 'e':
      case 'E':
      case 'g':
      case 'G':
      case 'a':
      case 'A':
        std::snprintf(text, sizeof text, one.c_str(), std::bit_cast<double>(next(8)));
        break;
      default:
        if (integer && wide) {
          std::snprintf(text, sizeof text, one.c_str(), static_cast<unsigned long long>(next(8)));
        } else {
          std::snprintf(text, sizeof text, one.c_str(), static_cast<uint32_t>(next(4)));
        }
    }
    out += text;
  }
  return out;
}

void print(Warp& w, const Inst& in, Mask m) {
  const Slot* offsets = w.block->program->slots.data() + in.list;
  for_lanes(m, [&](int lane) {
    const std::string text =
        format_print(w, text_at(w, local_word(w, lane, offsets[1], 8)), local_word(w, lane, offsets[2], 8));
    std::fputs(text.c_str(), stdout);
    const auto length = static_cast<uint32_t>(text.size());
    std::memcpy(w.block->local + w.block->local_stride * thread_of(w, lane) + offsets[0], &length, 4);
  });
}

}  // namespace

bool decode_builtin_call(Decoder& d, std::string_view callee, const std::vector<Binding>& arguments) {
  const bool assertion = callee == "__assertfail";
  if (!assertion && callee != "vprintf") return false;
  if (arguments.size() < 3) d.error("a call with wrong arguments");
  for (size_t i = 0; i < 3; ++i) {
    if (arguments[i].bytes < (i == (assertion ? 2u : 0u) ? 4u : 8u)) d.error("a call with wrong arguments");
  }
  for (const Binding& argument : arguments) d.list_constant(static_cast<Slot>(argument.value));
  d.inst.inst_class = InstClass::control;
  d.inst.run = assertion ? assert_failed : print;
  return true;
}

void add_control_ops(OpTable& table) {
  table["bra"] = decode_bra;
  table["brx"] = decode_brx;
  table["exit"] = decode_exit;
  table["ret"] = decode_exit;  // of the kernel itself; of an inlined call it is a branch
  table["bar"] = decode_barrier;
  table["barrier"] = decode_barrier;
  table["membar"] = decode_fence;
  table["fence"] = decode_fence;
  table["nanosleep"] = decode_nanosleep;
  table["trap"] = decode_trap;
}

}  // namespace ft::sim
