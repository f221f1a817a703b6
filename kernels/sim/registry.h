// Kernels and variables that objects register before main, and the programs decoded from them at first use.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "kernels/sim/program.h"

namespace ft::sim {

struct Kernel;

/// A kernel by its host stub; null for an unknown address. Handles are stable.
Kernel* find_kernel(const void* host_function);
/// A kernel from PTX text, outside of any object; for tests of what nvcc would not write. Lives to the end.
Kernel* load_ptx(std::string text, const std::string& kernel);

/// Parses and decodes on the first call; throws ft::Error.
const Program& program_of(Kernel& kernel);

struct KernelAttributes {
  int max_dynamic_shared = 48 * 1024;
};
KernelAttributes& attributes_of(Kernel& kernel);

/// Device address and size of a __device__ or __constant__ variable by its host shadow. False if unknown.
bool find_symbol(const void* host_variable, void** address, size_t* bytes);

}  // namespace ft::sim
