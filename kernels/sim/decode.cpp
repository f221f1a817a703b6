// Modifiers and branch targets of one instruction, as the opcode tables ask for them.
#include "kernels/sim/decode.h"

#include "kernels/sim/decode_kernel.h"

namespace ft::sim {

bool Decoder::take(std::string_view modifier) {
  for (std::string_view& part : parts_) {
    if (part != modifier) continue;
    part = {};
    return true;
  }
  return false;
}

int Decoder::take_one(std::initializer_list<std::string_view> words, int otherwise) {
  int index = 0;
  for (const std::string_view word : words) {
    if (take(word)) return index;
    ++index;
  }
  return otherwise;
}

std::optional<ptx::Type> Decoder::try_type() {
  for (std::string_view& part : parts_) {
    const ptx::Type type = part.empty() ? ptx::Type::none : ptx::type_of(part);
    if (type == ptx::Type::none) continue;
    part = {};
    return type;
  }
  return std::nullopt;
}

ptx::Type Decoder::take_type() {
  const auto type = try_type();
  if (!type) error("expected a type modifier");
  return *type;
}

void Decoder::ignore_memory_modifiers() {
  for (std::string_view& part : parts_) {
    for (const std::string_view known :
         {".relaxed", ".acquire", ".release", ".acq_rel", ".volatile", ".weak", ".cta",
          ".gpu",     ".sys",     ".cluster", ".nc",      ".ca",       ".cg",   ".cs",
          ".lu",      ".cv",      ".wb",      ".wt",      ".sc",       ".mmio"}) {
      if (part == known) part = {};
    }
    if (part.substr(0, 4) == ".L1:" || part.substr(0, 4) == ".L2:") part = {};
  }
}

void Decoder::branch_to(std::string_view label) {
  kernel_->branches.push_back(
      {static_cast<uint32_t>(kernel_->program->code.size()), kernel_->scope, label, -1});
}

void Decoder::branch_table(std::string_view name) {
  auto& program = *kernel_->program;
  for (int s = kernel_->scope; s >= 0; s = kernel_->scopes[static_cast<size_t>(s)].parent) {
    const auto& here = kernel_->scopes[static_cast<size_t>(s)];
    const auto found = here.tables.find(name);
    if (found == here.tables.end()) continue;
    inst.imm = static_cast<int64_t>(program.tables.size());
    program.tables.emplace_back();
    for (const std::string_view target : found->second) {
      kernel_->branches.push_back(
          {static_cast<uint32_t>(program.code.size()), kernel_->scope, target, static_cast<int>(inst.imm)});
    }
    return;
  }
  error("the branch table stands nowhere before");
}

}  // namespace ft::sim
