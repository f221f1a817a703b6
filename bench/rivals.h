// The BLAS libraries our products are measured against, opened at run time so that none is linked.
#pragma once

#include <dlfcn.h>

#include <cstdint>
#include <string>
#include <vector>

namespace ft::bench {

/// One library's sgemm by the Fortran interface (column-major), and how its thread count is set.
struct Rival {
  using Sgemm = void (*)(const char* ta, const char* tb, const int* m, const int* n, const int* k,
                         const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
                         const float* beta, float* c, const int* ldc);
  std::string name;
  Sgemm sgemm = nullptr;
  void (*set_int)(int) = nullptr;
  void (*set_long)(int64_t) = nullptr;

  void threads(int n) const {
    if (set_int) set_int(n);
    if (set_long) set_long(n);
  }

  /// Row-major C [m, n] (+)= op(A) op(B); lda, ldb, ldc are row strides of the matrices as stored.
  void product(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b,
               int64_t ldb, bool add, float* c, int64_t ldc) const {
    const int im = static_cast<int>(m), in = static_cast<int>(n), ik = static_cast<int>(k);
    const int ia = static_cast<int>(lda), ib = static_cast<int>(ldb), ic = static_cast<int>(ldc);
    const float one = 1, beta = add ? 1 : 0;
    sgemm(tb ? "T" : "N", ta ? "T" : "N", &in, &im, &ik, &one, b, &ib, a, &ia, &beta, c, &ic);
  }
};

/// The libraries found. `mkl` is the folder of libmkl_rt.so.2, or empty.
inline std::vector<Rival> find_rivals(const std::string& mkl) {
  std::vector<Rival> found;
  const auto open = [&](const std::string& name, const std::string& file, const char* set_int,
                        const char* set_long) {
    void* lib = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!lib) return;
    Rival r;
    r.name = name;
    r.sgemm = reinterpret_cast<Rival::Sgemm>(dlsym(lib, "sgemm_"));
    if (set_int) r.set_int = reinterpret_cast<void (*)(int)>(dlsym(lib, set_int));
    if (set_long) r.set_long = reinterpret_cast<void (*)(int64_t)>(dlsym(lib, set_long));
    if (r.sgemm && (r.set_int || r.set_long)) found.push_back(r);
  };
  open("OpenBLAS", "libopenblas.so.0", "openblas_set_num_threads", nullptr);
  open("BLIS", "libblis.so.4", nullptr, "bli_thread_set_num_threads");
  if (!mkl.empty()) open("MKL", mkl + "/libmkl_rt.so.2", "MKL_Set_Num_Threads", nullptr);
  return found;
}

}  // namespace ft::bench
