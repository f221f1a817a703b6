// Streams run their work at the moment it is submitted, which is one of the orders that the program allows.
// While a stream captures, work is recorded for a graph instead.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>

namespace ft::sim {

/// Bytes of device memory that cuda-sim says to have.
constexpr size_t device_memory = size_t{16} << 30;

/// The stream records its work.
bool is_capturing(cudaStream_t stream);

/// Runs the work now, or records it where the stream captures.
cudaError_t enqueue(cudaStream_t stream, std::function<cudaError_t()> work);

}  // namespace ft::sim
