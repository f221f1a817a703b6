// Registration runs in constructors of other objects, in any order, so the registry is created on first use
// and a fat binary is only noted; its PTX is parsed when one of its kernels or variables is needed.
#include "kernels/sim/registry.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "engine/core/check.h"
#include "kernels/sim/decode.h"
#include "kernels/sim/fatbin.h"
#include "kernels/sim/memory_table.h"
#include "kernels/sim/sim.h"

namespace ft::sim {

struct LoadedModule {
  const void* fat_binary = nullptr;
  std::unique_ptr<ptx::Module> ptx;
  std::map<std::string, std::pair<void*, size_t>> variables;  // by PTX name
};

struct Kernel {
  LoadedModule* module = nullptr;
  std::string name;
  std::unique_ptr<Program> program;
  KernelAttributes attributes;
};

namespace {

struct Symbol {
  LoadedModule* module = nullptr;
  std::string name;
};

struct Registry {
  std::recursive_mutex mutex;
  std::vector<std::unique_ptr<LoadedModule>> modules;
  std::map<const void*, std::unique_ptr<Kernel>> kernels;  // by host stub
  std::set<const void*> handles;
  std::map<const void*, Symbol> symbols;  // by host shadow
};

Registry& registry() {
  static Registry* instance = new Registry;  // lives to the end of the process: destructors may free memory
  return *instance;
}

void* allocate_variable(LoadedModule& module, const ptx::Variable& variable) {
  const size_t bytes = std::max<size_t>(variable.bytes, 1);
  void* p = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  FT_CHECK(p != nullptr, "[cuda-sim] no memory for the variable {} of {} bytes", variable.name, bytes);
  std::memset(p, 0, bytes);
  std::copy(variable.initial.begin(), variable.initial.end(), static_cast<uint8_t*>(p));
  module.variables[std::string(variable.name)] = {p, variable.bytes};
  const bool constant = variable.space == ptx::Space::constant;
  MemoryTable::get().add_variable(p, bytes, constant ? MemoryKind::constant : MemoryKind::global,
                                  std::string(variable.name));
  return p;
}

void parse(LoadedModule& module, std::string text) {
  auto parsed = std::make_unique<ptx::Module>();
  ptx::parse_module(*parsed, std::move(text));
  for (const ptx::Variable& variable : parsed->variables) {
    if (variable.space == ptx::Space::shared || module.variables.count(std::string(variable.name)) != 0)
      continue;
    if (variable.external) continue;  // another object's
    allocate_variable(module, variable);
  }
  for (const ptx::Variable& variable : parsed->variables) {
    for (const auto& [offset, target] : variable.symbols) {
      const auto found = module.variables.find(std::string(target));
      FT_CHECK(found != module.variables.end(),
               "[cuda-sim] {} is initialised with the address of {}, which is unknown", variable.name,
               target);
      char* cell = static_cast<char*>(module.variables[std::string(variable.name)].first) + offset;
      uint64_t value;
      std::memcpy(&value, cell, 8);
      value += reinterpret_cast<uint64_t>(found->second.first);
      std::memcpy(cell, &value, 8);
    }
  }
  module.ptx = std::move(parsed);
}

void load(LoadedModule& module) {
  if (!module.ptx) parse(module, extract_ptx(module.fat_binary));
}

}  // namespace

Kernel* find_kernel(const void* host_function) {
  Registry& r = registry();
  std::lock_guard lock(r.mutex);
  if (r.handles.count(host_function) != 0) return static_cast<Kernel*>(const_cast<void*>(host_function));
  const auto found = r.kernels.find(host_function);
  return found == r.kernels.end() ? nullptr : found->second.get();
}

Kernel* load_ptx(std::string text, const std::string& kernel_name) {
  Registry& r = registry();
  std::lock_guard lock(r.mutex);
  auto module = std::make_unique<LoadedModule>();
  parse(*module, std::move(text));
  auto kernel = std::make_unique<Kernel>();
  kernel->module = module.get();
  kernel->name = kernel_name;
  program_of(*kernel);
  r.modules.push_back(std::move(module));
  Kernel* handle = kernel.get();
  r.handles.insert(handle);
  r.kernels[handle] = std::move(kernel);
  return handle;
}

const Program& program_of(Kernel& kernel) {
  std::lock_guard lock(registry().mutex);
  if (!kernel.program) {
    load(*kernel.module);
    kernel.program = decode(*kernel.module->ptx, kernel.name, [&](std::string_view name) {
      const auto found = kernel.module->variables.find(std::string(name));
      FT_CHECK(found != kernel.module->variables.end(), "[cuda-sim] the variable {} is defined in no object",
               name);
      return reinterpret_cast<uint64_t>(found->second.first);
    });
  }
  return *kernel.program;
}

std::vector<std::string> decode_all_kernels(size_t* count) {
  std::vector<std::string> errors;
  std::vector<Kernel*> kernels;
  {
    std::lock_guard lock(registry().mutex);
    for (const auto& [host, kernel] : registry().kernels) kernels.push_back(kernel.get());
  }
  for (Kernel* kernel : kernels) {
    try {
      program_of(*kernel);
    } catch (const Error& e) {
      errors.push_back(e.what());
    }
  }
  if (count != nullptr) *count = kernels.size();
  return errors;
}

KernelAttributes& attributes_of(Kernel& kernel) {
  return kernel.attributes;
}

bool find_symbol(const void* host_variable, void** address, size_t* bytes) {
  Registry& r = registry();
  std::lock_guard lock(r.mutex);
  const auto found = r.symbols.find(host_variable);
  if (found == r.symbols.end()) return false;
  load(*found->second.module);
  const auto variable = found->second.module->variables.find(found->second.name);
  if (variable == found->second.module->variables.end()) return false;
  *address = variable->second.first;
  *bytes = variable->second.second;
  return true;
}

}  // namespace ft::sim

// What nvcc's host code calls. The prototypes are those of crt/host_runtime.h, which only nvcc may include.
extern "C" {

void** __cudaRegisterFatBinary(void* fat_binary);
void __cudaRegisterFatBinaryEnd(void** handle);
void __cudaUnregisterFatBinary(void** handle);
char __cudaInitModule(void** handle);
void __cudaRegisterFunction(void** handle, const char* host, char* device, const char* name, int limit,
                            uint3* tid, uint3* bid, dim3* block, dim3* grid, int* warp);
void __cudaRegisterVar(void** handle, char* host, char* address, const char* name, int external, size_t bytes,
                       int constant, int global);
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* host);

void** __cudaRegisterFatBinary(void* fat_binary) {
  auto& r = ft::sim::registry();
  std::lock_guard lock(r.mutex);
  auto module = std::make_unique<ft::sim::LoadedModule>();
  module->fat_binary = fat_binary;
  r.modules.push_back(std::move(module));
  return reinterpret_cast<void**>(r.modules.back().get());
}

void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
char __cudaInitModule(void**) {
  return 1;
}

void __cudaRegisterFunction(void** handle, const char* host, char*, const char* name, int, uint3*, uint3*,
                            dim3*, dim3*, int*) {
  auto& r = ft::sim::registry();
  std::lock_guard lock(r.mutex);
  auto kernel = std::make_unique<ft::sim::Kernel>();
  kernel->module = reinterpret_cast<ft::sim::LoadedModule*>(handle);
  kernel->name = name;
  r.handles.insert(kernel.get());
  r.kernels[host] = std::move(kernel);
}

void __cudaRegisterVar(void** handle, char* host, char*, const char* name, int, size_t, int, int) {
  auto& r = ft::sim::registry();
  std::lock_guard lock(r.mutex);
  r.symbols[host] = {reinterpret_cast<ft::sim::LoadedModule*>(handle), name};
}

cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* host) {
  *kernel = reinterpret_cast<cudaKernel_t>(ft::sim::find_kernel(host));
  return *kernel == nullptr ? cudaErrorInvalidDeviceFunction : cudaSuccess;
}

}  // extern "C"
