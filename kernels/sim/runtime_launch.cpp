// Launches and what is asked about kernels.
#include <algorithm>
#include <vector>

#include "kernels/sim/launch.h"
#include "kernels/sim/runtime.h"
#include "kernels/sim/stream_queue.h"

namespace ft::sim {
namespace {

struct Configuration {
  dim3 grid, block;
  size_t shared = 0;
  cudaStream_t stream = nullptr;
};
thread_local std::vector<Configuration> configurations;  // <<<>>> pushes, the host stub pops

cudaError_t launch(const void* function, dim3 grid, dim3 block, void** arguments, size_t shared,
                   cudaStream_t stream) {
  Kernel* kernel = find_kernel(function);
  if (kernel == nullptr) return set_error(cudaErrorInvalidDeviceFunction);
  const std::array<uint32_t, 3> g{grid.x, grid.y, grid.z}, b{block.x, block.y, block.z};
  if (!is_capturing(stream)) {
    return guarded([&] {
      run_kernel(*kernel, g, b, shared, arguments);
      return cudaSuccess;
    });
  }
  // The arguments are copied: the caller's are gone when the graph runs.
  return guarded([&] {
    const Program& program = program_of(*kernel);
    std::vector<std::vector<char>> values;
    for (size_t i = 0; i < program.parameters.size(); ++i) {
      const char* from = static_cast<const char*>(arguments[i]);
      values.emplace_back(from, from + program.parameters[i].bytes);
    }
    return enqueue(stream, [=]() mutable {
      std::vector<void*> pointers;
      for (auto& value : values) pointers.push_back(value.data());
      return guarded([&] {
        run_kernel(*kernel, g, b, shared, pointers.data());
        return cudaSuccess;
      });
    });
  });
}

}  // namespace
}  // namespace ft::sim

extern "C" {

// Not in a header that a host compiler may include.
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, CUstream_st* stream);
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared, void* stream);
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments, size_t shared,
                               cudaStream_t stream);

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, CUstream_st* stream) {
  ft::sim::configurations.push_back({grid, block, shared, stream});
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared, void* stream) {
  if (ft::sim::configurations.empty()) return ft::sim::set_error(cudaErrorInvalidConfiguration);
  const auto c = ft::sim::configurations.back();
  ft::sim::configurations.pop_back();
  *grid = c.grid;
  *block = c.block;
  *shared = c.shared;
  *static_cast<cudaStream_t*>(stream) = c.stream;
  return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments, size_t shared,
                               cudaStream_t stream) {
  return ft::sim::launch(kernel, grid, block, arguments, shared, stream);
}
cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** arguments, size_t shared,
                             cudaStream_t stream) {
  return ft::sim::launch(function, grid, block, arguments, shared, stream);
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* function, void** arguments) {
  for (unsigned i = 0; i < config->numAttrs; ++i) {
    const cudaLaunchAttributeID id = config->attrs[i].id;
    if (id == cudaLaunchAttributeClusterDimension || id == cudaLaunchAttributeCooperative) {
      return ft::sim::set_error(cudaErrorNotSupported,
                                "cuda-sim runs neither clusters nor cooperative grids");
    }
  }
  return ft::sim::launch(function, config->gridDim, config->blockDim, arguments, config->dynamicSmemBytes,
                         config->stream);
}

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  ft::sim::Kernel* kernel = ft::sim::find_kernel(function);
  if (kernel == nullptr) return ft::sim::set_error(cudaErrorInvalidDeviceFunction);
  return ft::sim::guarded([&] {
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    const uint64_t limit = ft::sim::DeviceLimits::opt_in_shared - ft::sim::program_of(*kernel).static_shared;
    if (value < 0 || static_cast<uint64_t>(value) > limit) return cudaErrorInvalidValue;
    ft::sim::attributes_of(*kernel).max_dynamic_shared = value;
    return cudaSuccess;
  });
}
cudaError_t cudaFuncSetCacheConfig(const void*, cudaFuncCache) {
  return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* function) {
  ft::sim::Kernel* kernel = ft::sim::find_kernel(function);
  if (kernel == nullptr) return ft::sim::set_error(cudaErrorInvalidDeviceFunction);
  return ft::sim::guarded([&] {
    const ft::sim::Program& program = ft::sim::program_of(*kernel);
    *attributes = {};
    attributes->sharedSizeBytes = program.static_shared;
    attributes->localSizeBytes = program.local_bytes;
    attributes->maxThreadsPerBlock = static_cast<int>(program.max_threads != 0 ? program.max_threads : 1024);
    attributes->numRegs = static_cast<int>(std::min<uint32_t>(program.live_registers, 255));
    attributes->ptxVersion = attributes->binaryVersion = 80;
    attributes->maxDynamicSharedSizeBytes = ft::sim::attributes_of(*kernel).max_dynamic_shared;
    return cudaSuccess;
  });
}

// From threads, shared memory and the registers that this decoder counts; ptxas may give another number.
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void* function,
                                                                   int threads, size_t dynamic_shared,
                                                                   unsigned int) {
  using L = ft::sim::DeviceLimits;
  ft::sim::Kernel* kernel = ft::sim::find_kernel(function);
  if (kernel == nullptr) return ft::sim::set_error(cudaErrorInvalidDeviceFunction);
  return ft::sim::guarded([&] {
    *blocks = 0;
    if (threads <= 0 || threads > static_cast<int>(L::threads_per_block)) return cudaErrorInvalidValue;
    const ft::sim::Program& program = ft::sim::program_of(*kernel);
    const uint64_t warps = static_cast<uint64_t>(threads + 31) / 32;
    const uint64_t registers =
        (std::clamp<uint64_t>(program.live_registers, 16, 255) + 7) / 8 * 8 * 32 * warps;
    const uint64_t shared = program.static_shared + dynamic_shared + 1024;
    *blocks = static_cast<int>(
        std::min({uint64_t{L::blocks_per_multiprocessor}, L::warps_per_multiprocessor / warps,
                  L::registers / registers, L::multiprocessor_shared / shared}));
    return cudaSuccess;
  });
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* function, int threads,
                                                          size_t dynamic_shared) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, function, threads, dynamic_shared, 0);
}

}  // extern "C"
