// Shared by the runtime_*.cpp files: the error state of a thread and the guard around every call.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <string>

namespace ft::sim {

/// Remembers the error for cudaGetLastError and returns it.
cudaError_t set_error(cudaError_t error, const std::string& text = {});

/// Runs f, turning exceptions into errors of this thread: the text is what cudaGetErrorString then gives.
cudaError_t guarded(const std::function<cudaError_t()>& f);

/// Counts a call that a program which wants to run ahead of the device should not make. While a stream
/// captures, such a call is an error and breaks the capture, as in the runtime (cudaStreamCaptureModeGlobal):
/// false then.
bool may_wait(const char* call);

}  // namespace ft::sim
