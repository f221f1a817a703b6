// Streams run their work at the moment it is submitted, which is one of the orders that the program allows.
// While a stream captures, work is recorded for a graph instead. Memory of the pool that is allocated in a
// capture belongs to the graph: it has one address for all launches, is fresh after each allocation, and goes
// with the last of the graphs made of it.
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

/// cudaMallocAsync and cudaFreeAsync while the stream captures.
cudaError_t allocate_in_capture(cudaStream_t stream, void** p, size_t bytes);
cudaError_t free_in_capture(cudaStream_t stream, void* p);

/// Does any stream capture? Then calls that may wait break it.
bool any_capturing();
void break_captures();

}  // namespace ft::sim
