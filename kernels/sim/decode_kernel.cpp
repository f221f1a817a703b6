// Walks a kernel's statements: scopes, declarations, inlined calls, branch targets. A call is decoded in
// place, so that reconvergence by lowest program counter needs no call stack; recursion is therefore an
// error.
#include "kernels/sim/decode_kernel.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstring>

#include "engine/core/check.h"

namespace ft::sim {
namespace {

constexpr size_t deepest_call = 64;
constexpr size_t most_instructions = 4u << 20;
constexpr std::string_view return_label = "<return>";

// The qualified name with template arguments, without result type and parameters.
std::string demangle(const std::string& name) {
  int status = 0;
  std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status),
                                              std::free);
  if (status != 0) return name;
  std::string readable = text.get();
  static constexpr std::string_view anonymous = "(anonymous namespace)::";
  for (size_t at; (at = readable.find(anonymous)) != readable.npos;) readable.erase(at, anonymous.size());
  int depth = 0;
  for (size_t i = readable.size(); i-- > 0;) {  // the last balanced parentheses are the parameters
    depth += readable[i] == ')' ? 1 : readable[i] == '(' ? -1 : 0;
    if (depth != 0 || readable[i] != '(') continue;
    readable.resize(i);
    break;
  }
  if (readable.rfind("void ", 0) == 0) readable.erase(0, 5);
  return readable;
}

const OpTable& op_table() {
  static const OpTable table = [] {
    OpTable t;
    add_integer_ops(t);
    add_logic_ops(t);
    add_bit_ops(t);
    add_special_ops(t);
    add_compare_ops(t);
    add_convert_ops(t);
    add_move_ops(t);
    add_memory_ops(t);
    add_atomic_ops(t);
    add_async_ops(t);
    add_warp_ops(t);
    add_mma_ops(t);
    add_control_ops(t);
    return t;
  }();
  return table;
}

}  // namespace

std::string Program::place_of(uint32_t pc) const {
  if (pc >= code.size()) return "the end";
  const SourcePlace place = places[pc];
  if (place.line == 0 || place.file >= files.size()) return fmt::format("instruction {} ({})", pc, texts[pc]);
  std::string text = fmt::format("{}:{}", files[place.file], place.line);
  const bool inlined = place.outer_file != place.file || place.outer_line != place.line;
  if (inlined && place.outer_file < files.size()) {
    text += fmt::format(" from {}:{}", files[place.outer_file], place.outer_line);
  }
  return text;
}

KernelDecoder::KernelDecoder(const ptx::Module& module, std::string_view kernel, const FindVariable& find,
                             uint64_t dynamic_offset)
    : program(std::make_unique<Program>()), module_(module), find_(find), dynamic_offset_(dynamic_offset) {
  const auto found = module.functions.find(kernel);
  FT_CHECK(found != module.functions.end() && found->second.entry && !found->second.body.empty(),
           "[cuda-sim] no kernel {} in the module's PTX", kernel);
  kernel_ = &found->second;
  program->name = kernel;
  program->readable_name = demangle(program->name);
  program->max_threads = kernel_->max_threads;
  if (kernel_->required_threads[0] != 0) {
    program->max_threads =
        kernel_->required_threads[0] * kernel_->required_threads[1] * kernel_->required_threads[2];
  }
  for (const auto& [index, file] : module.files) {
    if (index > 4096) error("more than 4096 source files");
    program->files.resize(std::max<size_t>(program->files.size(), index + 1));
    program->files[index] = file;
  }
  pool_.resize(64);  // the two predicate constants
  std::memset(pool_.data() + 4, 0xff, 4);
}

std::unique_ptr<Program> KernelDecoder::run() {
  std::map<std::string_view, Binding> bound;
  for (const ptx::Variable& parameter : kernel_->parameters) {
    program->parameter_bytes = round_up(program->parameter_bytes, parameter.align);
    bound[parameter.name] = {Binding::Kind::param, parameter.type, program->parameter_bytes, parameter.bytes};
    program->parameters.push_back({program->parameter_bytes, parameter.bytes});
    program->parameter_bytes += parameter.bytes;
  }
  function_body(*kernel_, std::move(bound));
  resolve_branches();
  allocate_registers(*program, registers, accesses);
  finish_constants();
  program->dynamic_shared_offset = round_up(program->static_shared, 128);
  for (const auto& [special, reg] : specials_) {
    for (const RegisterAccess& access : accesses) {
      if (access.reg != reg) continue;
      const Slot slot =
          access.field ? program->code[access.inst].*access.field : program->slots[access.list_index];
      program->specials.push_back({special, slot});
      break;
    }
  }
  return std::move(program);
}

void KernelDecoder::function_body(const ptx::Function& function, std::map<std::string_view, Binding> bound) {
  if (function.body.empty()) error(fmt::format("the function {} has no body in this module", function.name));
  if (std::find(stack_.begin(), stack_.end(), &function) != stack_.end() || stack_.size() >= deepest_call) {
    error(fmt::format("recursion through {}: calls are inlined here", function.name));
  }
  const int caller = scope;
  stack_.push_back(&function);
  scopes.push_back({-1, std::move(bound), {}, {}, {}});
  scope = static_cast<int>(scopes.size()) - 1;
  const int root = scope;
  const auto body = ptx::parse_body(function);
  const ptx::Statement* outer = statement_;
  for (const ptx::Statement& statement : body) {
    statement_ = &statement;
    switch (statement.kind) {
      case ptx::Statement::Kind::open:
        scopes.push_back({scope, {}, {}, {}, {}});
        scope = static_cast<int>(scopes.size()) - 1;
        break;
      case ptx::Statement::Kind::close:
        if (scope == root) error("a closing brace too many");
        scope = scopes[static_cast<size_t>(scope)].parent;
        break;
      case ptx::Statement::Kind::label:
        if (!scopes[static_cast<size_t>(scope)]
                 .labels.emplace(statement.label, program->code.size())
                 .second) {
          error(fmt::format("the label {} stands twice", statement.label));
        }
        break;
      case ptx::Statement::Kind::targets:
        scopes[static_cast<size_t>(scope)].tables[statement.label] = statement.targets;
        break;
      case ptx::Statement::Kind::variable:
        declare(statement.variable);
        break;
      case ptx::Statement::Kind::instruction:
        instruction(statement);
        break;
    }
  }
  if (scope != root) error("a brace that is not closed");
  scopes[static_cast<size_t>(root)].labels[return_label] = static_cast<uint32_t>(program->code.size());
  statement_ = outer;
  stack_.pop_back();
  scope = caller;
  if (stack_.empty()) {  // whatever runs off the end of the kernel has left it
    Inst exit;
    exit.flow = Flow::exit;
    program->code.push_back(exit);
    program->places.push_back(program->places.empty() ? SourcePlace{} : program->places.back());
    program->texts.emplace_back("exit");
  }
}

void KernelDecoder::instruction(const ptx::Statement& statement) {
  const ptx::Instruction& source = statement.instruction;
  Decoder d;
  d.kernel_ = this;
  d.source = &source;
  std::string_view rest = source.opcode;
  std::string_view base = rest.substr(0, rest.find('.'));
  rest.remove_prefix(base.size());
  while (!rest.empty()) {
    const size_t end = rest.find('.', 1);
    d.parts_.push_back(rest.substr(0, end));
    rest = end == rest.npos ? std::string_view{} : rest.substr(end);
  }
  if (!source.guard.empty()) {
    ptx::Operand guard;
    guard.kind = ptx::Operand::Kind::name;
    guard.name = source.guard;
    d.read_predicate(&Inst::guard, guard);
    d.inst.guarded = true;
    d.inst.guard_negated = source.guard_negated;
  }
  if (base == "call") return call(d);
  if (base == "ret" && stack_.size() > 1) {
    d.take(".uni");
    d.inst.flow = Flow::branch;
    branches.push_back({static_cast<uint32_t>(program->code.size()), scope, return_label, -1});
    return emit(d, statement);
  }
  const auto op = op_table().find(base);
  if (op == op_table().end()) error("unknown opcode");
  op->second(d);
  emit(d, statement);
}

void KernelDecoder::emit(Decoder& d, const ptx::Statement& statement) {
  for (const std::string_view part : d.parts_) {
    if (!part.empty()) error(fmt::format("the modifier {} is not known", part));
  }
  if (program->code.size() >= most_instructions) error("more instructions than the simulator takes");
  program->code.push_back(d.inst);
  program->places.push_back({statement.file, statement.line, statement.outer_file, statement.outer_line});
  program->texts.emplace_back(statement.instruction.opcode);
}

void KernelDecoder::call(Decoder& d) {
  d.take(".uni");
  const ptx::Statement& statement = *statement_;
  if (d.source->operands.size() != 1 || d.source->operands[0].kind != ptx::Operand::Kind::name) {
    error("an indirect call");
  }
  const std::string_view callee = d.source->operands[0].name;
  std::vector<Binding> actual;
  for (const auto* list : {&d.source->results, &d.source->arguments}) {
    for (const ptx::Operand& operand : *list) {
      actual.push_back(lookup(operand.name));
      if (actual.back().kind != Binding::Kind::local) error("a call argument that is not a .param variable");
    }
  }
  const auto found = module_.functions.find(callee);
  if (found == module_.functions.end() || found->second.body.empty()) {
    if (!decode_builtin_call(d, callee, actual)) {
      error(fmt::format("a call of {}, which has no body here (an indirect call, or another object file)",
                        callee));
    }
    return emit(d, statement);
  }
  const ptx::Function& function = found->second;
  if (actual.size() != function.results.size() + function.parameters.size())
    error("a call with wrong arguments");
  std::map<std::string_view, Binding> bound;
  for (size_t i = 0; i < actual.size(); ++i) {
    const bool result = i < function.results.size();
    const ptx::Variable& formal =
        result ? function.results[i] : function.parameters[i - function.results.size()];
    if (formal.space != ptx::Space::param || formal.bytes > actual[i].bytes)
      error("a call with wrong arguments");
    bound[formal.name] = actual[i];
  }
  int skip = -1;
  if (d.inst.guarded) {  // @p call: branch around the body where p is false
    d.inst.flow = Flow::branch;
    d.inst.guard_negated = !d.inst.guard_negated;
    skip = static_cast<int>(program->code.size());
    emit(d, statement);
  }
  function_body(function, std::move(bound));
  if (skip >= 0) program->code[static_cast<size_t>(skip)].imm = static_cast<int64_t>(program->code.size());
}

void KernelDecoder::resolve_branches() {
  for (const PendingBranch& branch : branches) {
    bool found = false;
    for (int s = branch.scope; s >= 0 && !found; s = scopes[static_cast<size_t>(s)].parent) {
      const Scope& here = scopes[static_cast<size_t>(s)];
      const auto label = here.labels.find(branch.label);
      if (label == here.labels.end()) continue;
      found = true;
      if (branch.table >= 0) {
        program->tables[static_cast<size_t>(branch.table)].push_back(label->second);
      } else {
        program->code[branch.inst].imm = label->second;
      }
    }
    FT_CHECK(found, "[cuda-sim] kernel {}, {}: the label {} does not exist", program->readable_name,
             program->place_of(branch.inst), branch.label);
  }
}

void KernelDecoder::error(const std::string& text) const {
  std::string place;
  if (statement_ != nullptr) {
    if (statement_->line != 0 && statement_->file < program->files.size()) {
      place = fmt::format(", {}:{}", program->files[statement_->file], statement_->line);
    }
    place += fmt::format(" (PTX line {}: {})", statement_->ptx_line, statement_->instruction.opcode);
  }
  fail("[cuda-sim] kernel {}{}: {}", program->readable_name, place, text);
}

std::unique_ptr<Program> decode(const ptx::Module& module, std::string_view kernel,
                                const FindVariable& find) {
  auto program = KernelDecoder(module, kernel, find, 0).run();
  if (program->dynamic_shared_offset == 0) return program;
  // Dynamic shared memory follows the static variables, whose size is known only now.
  return KernelDecoder(module, kernel, find, program->dynamic_shared_offset).run();
}

}  // namespace ft::sim
