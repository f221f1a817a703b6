// The real library, opened at first use and never closed.
#include <dlfcn.h>

#include "engine/core/check.h"
#include "kernels/cuda/cublaslt.h"

namespace ft {
namespace {

constexpr const char* kLibrary = "libcublasLt.so.13";

template <class F>
void find(void* library, const char* name, F& f) {
  f = reinterpret_cast<F>(dlsym(library, name));
  if (!f)
    bad_input("{}: has no {}; install cuBLAS of CUDA 13 (package libcublas-13-0, or nvidia-cublas of PyPI)",
              kLibrary, name);
}

CublasLt open() {
  void* library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* why = dlerror();
    bad_input(
        "{}: cannot be opened ({}); install cuBLAS of CUDA 13 (package libcublas-13-0, or nvidia-cublas of "
        "PyPI) and have its folder in LD_LIBRARY_PATH",
        kLibrary, why ? why : "no reason given");
  }
  CublasLt lt{};
  find(library, "cublasLtCreate", lt.create);
  find(library, "cublasLtDestroy", lt.destroy);
  find(library, "cublasLtGetVersion", lt.version);
  find(library, "cublasLtGetStatusString", lt.status_string);
  find(library, "cublasLtMatmul", lt.matmul);
  find(library, "cublasLtMatmulAlgoGetHeuristic", lt.heuristic);
  find(library, "cublasLtMatmulDescCreate", lt.desc_create);
  find(library, "cublasLtMatmulDescDestroy", lt.desc_destroy);
  find(library, "cublasLtMatmulDescSetAttribute", lt.desc_set);
  find(library, "cublasLtMatrixLayoutCreate", lt.layout_create);
  find(library, "cublasLtMatrixLayoutDestroy", lt.layout_destroy);
  find(library, "cublasLtMatmulPreferenceCreate", lt.preference_create);
  find(library, "cublasLtMatmulPreferenceDestroy", lt.preference_destroy);
  find(library, "cublasLtMatmulPreferenceSetAttribute", lt.preference_set);
  return lt;
}

}  // namespace

const CublasLt& cublaslt() {
  static const CublasLt lt = open();
  return lt;
}

}  // namespace ft
