// What ptxas decided, read from the machine code inside this test's own program: every kernel's registers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ft::test {

/// A kernel as compiled for one device.
struct MachineKernel {
  std::string signature;  // demangled, without "(anonymous namespace)::"
  int architecture = 0;   // 80, 90
  int registers = 0;      // of a thread

  /// "ft::norm_kernel" of "void ft::norm_kernel<float, 256>(ft::NormArgs<float>, bool)".
  std::string base_name() const;
};

/// All kernels of this program. Throws ft::Error where its device code is not as nvcc 13 lays it out.
std::vector<MachineKernel> machine_kernels();

/// Registers of the kernel that the simulator's counters call `name`, or -1 where it was not compiled for it.
int registers_of(const std::vector<MachineKernel>& kernels, const std::string& name, int architecture);

}  // namespace ft::test
