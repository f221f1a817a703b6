// Errors of the CUDA runtime. A fault of a kernel keeps its text: cudaGetErrorString of its code returns it
// until the next fault of this thread, so callers that throw with that string say kernel, line, thread and
// address.
#include <new>

#include "kernels/sim/checker.h"
#include "kernels/sim/runtime.h"
#include "kernels/sim/warp.h"

namespace ft::sim {
namespace {

thread_local cudaError_t last_error = cudaSuccess;
thread_local cudaError_t fault_code = cudaSuccess;
thread_local std::string fault_text;

struct ErrorName {
  cudaError_t code;
  const char* name;
  const char* text;
};
constexpr ErrorName error_names[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInvalidSymbol, "cudaErrorInvalidSymbol", "invalid device symbol"},
    {cudaErrorInvalidDevicePointer, "cudaErrorInvalidDevicePointer", "invalid device pointer"},
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection", "invalid copy direction for memcpy"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {cudaErrorMisalignedAddress, "cudaErrorMisalignedAddress", "misaligned address"},
    {cudaErrorIllegalInstruction, "cudaErrorIllegalInstruction", "an illegal instruction was encountered"},
    {cudaErrorAssert, "cudaErrorAssert", "device-side assert triggered"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorLaunchTimeout, "cudaErrorLaunchTimeout", "the launch timed out and was terminated"},
    {cudaErrorInvalidPtx, "cudaErrorInvalidPtx", "a PTX JIT compilation failed"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

const char* kind_of(int code) {
  switch (code) {
    case cudaErrorIllegalAddress:
      return "bounds";
    case cudaErrorMisalignedAddress:
      return "misaligned";
    case cudaErrorAssert:
      return "assert";
    case cudaErrorLaunchTimeout:
      return "hang";
    case cudaErrorInvalidConfiguration:
    case cudaErrorInvalidValue:
      return "configuration";
    default:
      return "fault";
  }
}

const ErrorName& find(cudaError_t error) {
  for (const ErrorName& e : error_names) {
    if (e.code == error) return e;
  }
  return error_names[std::size(error_names) - 1];
}

}  // namespace

std::string last_fault() {
  return fault_text;
}

cudaError_t set_error(cudaError_t error, const std::string& text) {
  if (error == cudaSuccess) return error;
  last_error = error;
  if (!text.empty()) {
    fault_code = error;
    fault_text = text;
  }
  return error;
}

cudaError_t guarded(const std::function<cudaError_t()>& f) {
  try {
    return set_error(f());
  } catch (const KernelFault& fault) {
    report(kind_of(fault.code), fault.kernel, fault.place, fault.what());
    return set_error(static_cast<cudaError_t>(fault.code), fault.what());
  } catch (const std::bad_alloc&) {
    return set_error(cudaErrorMemoryAllocation);
  } catch (const std::exception& e) {
    return set_error(cudaErrorInvalidPtx, e.what());
  }
}

}  // namespace ft::sim

extern "C" {

cudaError_t cudaGetLastError() {
  const cudaError_t error = ft::sim::last_error;
  ft::sim::last_error = cudaSuccess;
  return error;
}
cudaError_t cudaPeekAtLastError() {
  return ft::sim::last_error;
}
const char* cudaGetErrorName(cudaError_t error) {
  return ft::sim::find(error).name;
}
const char* cudaGetErrorString(cudaError_t error) {
  if (error == ft::sim::fault_code && error != cudaSuccess) return ft::sim::fault_text.c_str();
  return ft::sim::find(error).text;
}

}  // extern "C"
