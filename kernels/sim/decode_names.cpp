// Names of a kernel: scopes, registers, variables and their places, the constant pool.
#include <fmt/format.h>

#include <cstring>

#include "engine/core/check.h"
#include "kernels/sim/decode_kernel.h"

namespace ft::sim {

void KernelDecoder::declare(const ptx::Variable& variable) {
  Scope& here = scopes[static_cast<size_t>(scope)];
  Binding binding{Binding::Kind::local, variable.type, 0, variable.bytes};
  switch (variable.space) {
    case ptx::Space::reg: {
      const int bytes = register_width(variable.type);
      if (variable.count > (1u << 20) || registers.size() > (1u << 22)) error("too many registers");
      if (variable.count > 0) {
        here.ranges[variable.name] = {static_cast<uint32_t>(registers.size()), variable.count, variable.type};
        for (uint64_t i = 0; i < variable.count; ++i) new_register(bytes);
      } else {
        here.names[variable.name] = {Binding::Kind::reg, variable.type, new_register(bytes), 0};
      }
      return;
    }
    case ptx::Space::local:
    case ptx::Space::param:
      binding.value = allocate_local(variable.bytes, std::max<uint64_t>(variable.align, 16));
      break;
    case ptx::Space::shared:
      binding.kind = Binding::Kind::shared;
      binding.value = shared_variable(fmt::format("{}/{}", stack_.back()->name, variable.name), variable);
      break;
    default:
      error("a variable of this space inside a function");
  }
  here.names[variable.name] = binding;
}

uint64_t KernelDecoder::allocate_local(uint64_t bytes, uint64_t align) {
  const uint64_t offset = round_up(program->local_bytes, align);
  program->local_bytes = offset + bytes;
  if (program->local_bytes > (1u << 20)) error("more than 1 MiB of local memory a thread");
  return offset;
}

uint64_t KernelDecoder::shared_variable(const std::string& key, const ptx::Variable& variable) {
  if (variable.external) return dynamic_offset_;
  const auto [entry, fresh] = shared_.emplace(key, 0);
  if (fresh) {
    entry->second = round_up(program->static_shared, variable.align);
    program->static_shared = entry->second + variable.bytes;
  }
  return entry->second;
}

const Binding* KernelDecoder::try_lookup(std::string_view name, Binding& storage) {
  size_t digits = name.size();
  while (digits > 0 && name[digits - 1] >= '0' && name[digits - 1] <= '9') --digits;
  const std::string_view prefix = name.substr(0, digits);
  uint64_t number = ~uint64_t{0};
  if (digits < name.size() && name.size() - digits < 9) number = std::stoul(std::string(name.substr(digits)));
  for (int s = scope; s >= 0; s = scopes[static_cast<size_t>(s)].parent) {
    const Scope& here = scopes[static_cast<size_t>(s)];
    if (const auto found = here.names.find(name); found != here.names.end())
      return &(storage = found->second);
    const auto range = here.ranges.find(prefix);
    if (range != here.ranges.end() && number < range->second.count) {
      storage = {Binding::Kind::reg, range->second.type, range->second.first + number, 0};
      return &storage;
    }
  }
  for (const ptx::Variable& variable : module_.variables) {
    if (variable.name != name) continue;
    if (variable.space == ptx::Space::shared) {
      storage = {Binding::Kind::shared, variable.type, shared_variable(std::string(name), variable),
                 variable.bytes};
    } else {
      storage = {Binding::Kind::address, variable.type, find_(name), variable.bytes};
    }
    return &storage;
  }
  return nullptr;
}

Binding KernelDecoder::lookup(std::string_view name) {
  Binding binding;
  if (try_lookup(name, binding) == nullptr) error(fmt::format("the name {} is not declared", name));
  return binding;
}

uint32_t KernelDecoder::new_register(int bytes) {
  registers.push_back({static_cast<uint8_t>(bytes), false, {}});
  return static_cast<uint32_t>(registers.size()) - 1;
}

uint32_t KernelDecoder::special_register(Special which) {
  const auto [entry, fresh] = specials_.emplace(which, 0);
  if (fresh) {
    entry->second = new_register(4);
    registers.back().special = true;
    registers.back().which = which;
  }
  return entry->second;
}

Slot KernelDecoder::constant(uint64_t bits, int bytes) {
  if (bytes == 0) return bits != 0 ? constant_true : constant_false;
  const auto [entry, fresh] = constant_slots_.emplace(std::pair{bits, bytes}, 0);
  if (fresh) {
    entry->second = static_cast<Slot>(pool_.size()) | 1;
    for (int lane = 0; lane < lane_count; ++lane) {
      for (int i = 0; i < bytes; ++i) pool_.push_back(i < 8 ? static_cast<uint8_t>(bits >> (8 * i)) : 0);
    }
  }
  return entry->second;
}

void KernelDecoder::finish_constants() {
  const size_t bytes = round_up(pool_.size(), 64);
  program->constants = std::shared_ptr<char>(static_cast<char*>(std::aligned_alloc(64, bytes)), std::free);
  std::memcpy(program->constants.get(), pool_.data(), pool_.size());
}

}  // namespace ft::sim
