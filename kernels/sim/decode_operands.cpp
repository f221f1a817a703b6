// Operands of one instruction: registers, literals, addresses, lists.
#include "kernels/sim/decode.h"

#include <array>
#include <bit>

#include "engine/core/check.h"
#include "kernels/sim/decode_kernel.h"

namespace ft::sim {
namespace {

constexpr std::array<std::pair<std::string_view, Special>, 25> special_names{{
    {"%tid.x", Special::tid_x},
    {"%tid.y", Special::tid_y},
    {"%tid.z", Special::tid_z},
    {"%ntid.x", Special::ntid_x},
    {"%ntid.y", Special::ntid_y},
    {"%ntid.z", Special::ntid_z},
    {"%ctaid.x", Special::ctaid_x},
    {"%ctaid.y", Special::ctaid_y},
    {"%ctaid.z", Special::ctaid_z},
    {"%nctaid.x", Special::nctaid_x},
    {"%nctaid.y", Special::nctaid_y},
    {"%nctaid.z", Special::nctaid_z},
    {"%laneid", Special::laneid},
    {"%warpid", Special::warpid},
    {"%nwarpid", Special::nwarpid},
    {"%smid", Special::smid},
    {"%nsmid", Special::nsmid},
    {"%gridid", Special::gridid},
    {"%lanemask_eq", Special::lanemask_eq},
    {"%lanemask_le", Special::lanemask_le},
    {"%lanemask_lt", Special::lanemask_lt},
    {"%lanemask_ge", Special::lanemask_ge},
    {"%lanemask_gt", Special::lanemask_gt},
    {"%dynamic_smem_size", Special::dynamic_smem},
    {"%total_smem_size", Special::total_smem},
}};

std::optional<Special> special_of(std::string_view name) {
  for (const auto& [text, special] : special_names) {
    if (text == name) return special;
  }
  return std::nullopt;
}

uint64_t immediate_bits(const Decoder& d, const ptx::Operand& operand, ptx::Type type) {
  const int bytes = ptx::bytes_of(type);
  const uint64_t keep = bytes >= 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * bytes)) - 1;
  const bool float_type = type == ptx::Type::f32 || type == ptx::Type::f64;
  switch (operand.kind) {
    case ptx::Operand::Kind::integer:
      if (float_type && operand.bits != 0) d.error("an integer where a float literal is expected");
      return operand.bits & keep;
    case ptx::Operand::Kind::float32:
      if (bytes != 4) d.error("a float32 literal for another width");
      return operand.bits;
    case ptx::Operand::Kind::float64:
      if (type == ptx::Type::f32)
        return std::bit_cast<uint32_t>(static_cast<float>(std::bit_cast<double>(operand.bits)));
      if (bytes != 8) d.error("a float64 literal for another width");
      return operand.bits;
    default:
      d.error("expected a literal");
  }
}

bool is_literal(const ptx::Operand& operand) {
  return operand.kind == ptx::Operand::Kind::integer || operand.kind == ptx::Operand::Kind::float32 ||
         operand.kind == ptx::Operand::Kind::float64;
}

}  // namespace

const ptx::Operand& Decoder::operand(size_t i) const {
  if (i >= source->operands.size()) error("too few operands");
  return source->operands[i];
}

void Decoder::expect_operands(size_t low, size_t high) const {
  const size_t count = source->operands.size();
  if (count < low || count > high) error(fmt::format("expected {} to {} operands, got {}", low, high, count));
}

bool Decoder::is_register(const ptx::Operand& operand) const {
  if (operand.kind != ptx::Operand::Kind::name) return false;
  if (special_of(operand.name)) return true;
  Binding binding;
  return kernel_->try_lookup(operand.name, binding) != nullptr && binding.kind == Binding::Kind::reg;
}

int Decoder::register_bytes(const ptx::Operand& operand, int otherwise) const {
  if (operand.kind != ptx::Operand::Kind::name) return otherwise;
  if (special_of(operand.name)) return 4;
  const Binding binding = kernel_->lookup(operand.name);
  return binding.kind == Binding::Kind::reg ? kernel_->registers[binding.value].bytes : otherwise;
}

uint32_t Decoder::scratch(int bytes) {
  return kernel_->new_register(bytes);
}
Slot Decoder::constant(uint64_t bits, int bytes) {
  return kernel_->constant(bits, bytes);
}
void Decoder::error(const std::string& text) const {
  kernel_->error(text);
}

void Decoder::write(Slot Inst::*field, const ptx::Operand& operand, int bytes) {
  uint32_t reg = 0;
  if (operand.kind == ptx::Operand::Kind::sink) {
    reg = scratch(bytes);
  } else {
    if (operand.kind != ptx::Operand::Kind::name) error("expected a register to write");
    const Binding binding = kernel_->lookup(operand.name);
    if (binding.kind != Binding::Kind::reg) error("expected a register to write");
    reg = static_cast<uint32_t>(binding.value);
    if (kernel_->registers[reg].bytes != bytes)
      error(fmt::format("the width of {} does not fit", operand.name));
  }
  kernel_->accesses.push_back({static_cast<uint32_t>(kernel_->program->code.size()), reg, field, 0, true});
}

int Decoder::read_wide(Slot Inst::*field, const ptx::Operand& operand, ptx::Type type) {
  const int bytes = ptx::bytes_of(type);
  if (is_literal(operand)) {
    const int width = std::max(bytes, 2);
    inst.*field = constant(immediate_bits(*this, operand, type), width);
    return width;
  }
  if (operand.kind != ptx::Operand::Kind::name || operand.negated)
    error("expected a register or literal to read");
  uint32_t reg = 0;
  if (const auto special = special_of(operand.name)) {
    reg = kernel_->special_register(*special);
  } else if (operand.name == "WARP_SZ") {
    inst.*field = constant(lane_count, bytes);
    return bytes;
  } else {
    const Binding binding = kernel_->lookup(operand.name);
    if (binding.kind != Binding::Kind::reg) {
      if (bytes < 8 && (bytes != 4 || binding.kind == Binding::Kind::address))
        error("an address in a narrow register");
      inst.*field = constant(binding.value + static_cast<uint64_t>(operand.offset), bytes);
      return bytes;
    }
    reg = static_cast<uint32_t>(binding.value);
  }
  const int width = kernel_->registers[reg].bytes;
  if (width < bytes || width == 0) error(fmt::format("the width of {} does not fit", operand.name));
  kernel_->accesses.push_back({static_cast<uint32_t>(kernel_->program->code.size()), reg, field, 0, false});
  return width;
}

void Decoder::read(Slot Inst::*field, const ptx::Operand& operand, ptx::Type type) {
  if (type == ptx::Type::pred) return read_predicate(field, operand);
  const int width = read_wide(field, operand, type);
  if (width != std::max(ptx::bytes_of(type), 2))
    error(fmt::format("the width of {} does not fit", operand.name));
}

void Decoder::read_predicate(Slot Inst::*field, const ptx::Operand& operand) {
  if (operand.kind == ptx::Operand::Kind::integer) {
    inst.*field = constant(operand.bits, 0);
    return;
  }
  if (operand.kind != ptx::Operand::Kind::name) error("expected a predicate");
  const Binding binding = kernel_->lookup(operand.name);
  if (binding.kind != Binding::Kind::reg || kernel_->registers[binding.value].bytes != 0)
    error("expected a predicate");
  kernel_->accesses.push_back({static_cast<uint32_t>(kernel_->program->code.size()),
                               static_cast<uint32_t>(binding.value), field, 0, false});
}

bool Decoder::has_base_register(const ptx::Operand& address) const {
  Binding binding;
  return kernel_->try_lookup(address.name, binding) != nullptr && binding.kind == Binding::Kind::reg;
}

MemorySpace Decoder::param_space(const ptx::Operand& operand) const {
  Binding binding;
  if (operand.kind == ptx::Operand::Kind::address && kernel_->try_lookup(operand.name, binding) != nullptr) {
    if (binding.kind == Binding::Kind::param) return MemorySpace::param;
    if (binding.kind == Binding::Kind::local) return MemorySpace::local;
  }
  return kernel_->depth() > 1 ? MemorySpace::local : MemorySpace::param;
}

void Decoder::address(const ptx::Operand& operand, MemorySpace space) {
  if (operand.kind != ptx::Operand::Kind::address) error("expected an address in brackets");
  inst.space = space;
  inst.imm = operand.offset;
  inst.mode = 8;  // bytes of the base register
  inst.a = constant(0, 8);
  if (operand.name.empty()) return;
  const Binding binding = kernel_->lookup(operand.name);
  if (binding.kind != Binding::Kind::reg) {
    inst.imm += static_cast<int64_t>(binding.value);
    return;
  }
  ptx::Operand base;
  base.kind = ptx::Operand::Kind::name;
  base.name = operand.name;
  const int width = register_bytes(base, 0);
  if (width != 4 && width != 8) error("an address register that is neither 32 nor 64 bits wide");
  if (width == 4 && (space == MemorySpace::generic || space == MemorySpace::global))
    error("a 32-bit global address");
  inst.mode = static_cast<uint8_t>(width);
  read(&Inst::a, base, width == 4 ? ptx::Type::b32 : ptx::Type::b64);
}

size_t Decoder::list_size(const ptx::Operand& operand) const {
  return operand.kind == ptx::Operand::Kind::vector ? operand.elements.size() : 1;
}

void Decoder::list_append(uint32_t reg, bool write) {
  auto& slots = kernel_->program->slots;
  if (inst.count == 0) inst.list = static_cast<uint32_t>(slots.size());
  kernel_->accesses.push_back({static_cast<uint32_t>(kernel_->program->code.size()), reg, nullptr,
                               static_cast<uint32_t>(slots.size()), write});
  slots.push_back(0);
  if (++inst.count > 64) error("too many operands");
}

void Decoder::list_constant(Slot value) {
  auto& slots = kernel_->program->slots;
  if (inst.count == 0) inst.list = static_cast<uint32_t>(slots.size());
  slots.push_back(value);
  if (++inst.count > 64) error("too many operands");
}

void Decoder::list_read(const ptx::Operand& operand, ptx::Type type) {
  if (operand.kind == ptx::Operand::Kind::vector) {
    for (const ptx::Operand& element : operand.elements) list_read(element, type);
    return;
  }
  const int width = std::max(ptx::bytes_of(type), 2);
  if (operand.kind == ptx::Operand::Kind::sink) return list_append(scratch(width), false);
  if (is_literal(operand)) {
    return list_constant(constant(immediate_bits(*this, operand, type), width));
  }
  if (operand.kind != ptx::Operand::Kind::name) error("expected a register");
  const auto special = special_of(operand.name);
  const uint64_t reg = special ? kernel_->special_register(*special) : kernel_->lookup(operand.name).value;
  if (!is_register(operand)) error("expected a register");
  if (kernel_->registers[reg].bytes != width)
    error(fmt::format("the width of {} does not fit", operand.name));
  list_append(static_cast<uint32_t>(reg), false);
}

void Decoder::list_write(const ptx::Operand& operand, int bytes) {
  if (operand.kind == ptx::Operand::Kind::vector) {
    for (const ptx::Operand& element : operand.elements) list_write(element, bytes);
    return;
  }
  if (operand.kind == ptx::Operand::Kind::sink) return list_append(scratch(bytes), true);
  if (!is_register(operand) || special_of(operand.name)) error("expected a register");
  const Binding binding = kernel_->lookup(operand.name);
  if (kernel_->registers[binding.value].bytes != bytes)
    error(fmt::format("the width of {} does not fit", operand.name));
  list_append(static_cast<uint32_t>(binding.value), true);
}

}  // namespace ft::sim
