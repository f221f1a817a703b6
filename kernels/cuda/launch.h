// What every launcher of a kernel needs: errors that name the op, and sizes of grids.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "engine/core/backend_streams.h"
#include "engine/core/check.h"

namespace ft {

/// Throws ft::Error when a CUDA call failed. `what` names the op or the call.
inline void check_cuda(cudaError_t status, const char* what) {
  FT_CHECK(status == cudaSuccess, "[cuda] {}: {}", what, cudaGetErrorString(status));
}
/// After a launch: was it accepted? (Faults inside the kernel appear at the next synchronisation.)
inline void check_launch(const char* op) {
  check_cuda(cudaGetLastError(), op);
}

constexpr int64_t blocks_for(int64_t items, int64_t per_block) {
  return (items + per_block - 1) / per_block;
}

}  // namespace ft
