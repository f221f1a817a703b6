// Runs a kernel to its end: checks the configuration, spreads blocks over threads, sums counters.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/sim/registry.h"

namespace ft::sim {

/// Throws KernelFault for what the kernel does wrong, ft::Error for what the simulator does not understand.
void run_kernel(Kernel& kernel, std::array<uint32_t, 3> grid, std::array<uint32_t, 3> threads,
                uint64_t dynamic_shared, void** arguments);

/// Limits of the device that cuda-sim is: those of sm_80 with the opt-in shared memory of sm_90.
struct DeviceLimits {
  static constexpr uint32_t threads_per_block = 1024, warps_per_multiprocessor = 64,
                            blocks_per_multiprocessor = 32;
  static constexpr uint64_t default_shared = 48 * 1024, opt_in_shared = 227 * 1024,
                            multiprocessor_shared = 228 * 1024;
  static constexpr uint32_t multiprocessors = 108, registers = 65536;
  static constexpr uint32_t grid_x = 0x7fffffff, grid_yz = 65535, block_z = 64;
};

}  // namespace ft::sim
