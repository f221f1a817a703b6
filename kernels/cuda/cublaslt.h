// cuBLASLt behind two small things: a table of the functions that we call, and one product.
//
// The library has 500 MB and most of its start-up cost is mapping it, so a program is not linked with it:
// cublaslt() fills the table at first use. The CUDA program opens libcublasLt.so.13 (cublaslt_open.cpp), the
// simulator's program answers the same calls itself (kernels/sim/cublaslt.cpp).
//
// Invariants of a product: sums and scalars in float32, float32 operands multiplied as IEEE float32 (never
// TF32), parts of a split sum kept in float32. The algorithm follows from the shape, the types, the strides
// and the operands' alignment alone: the library's first suggestion, never a timing.
#pragma once

#include <cublasLt.h>

#include <compare>
#include <cstdint>
#include <memory>

#include "engine/core/backend_streams.h"

namespace ft {

struct CublasLt {
  decltype(&::cublasLtCreate) create;
  decltype(&::cublasLtDestroy) destroy;
  decltype(&::cublasLtGetVersion) version;
  decltype(&::cublasLtGetStatusString) status_string;
  decltype(&::cublasLtMatmul) matmul;
  decltype(&::cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&::cublasLtMatmulDescCreate) desc_create;
  decltype(&::cublasLtMatmulDescDestroy) desc_destroy;
  decltype(&::cublasLtMatmulDescSetAttribute) desc_set;
  decltype(&::cublasLtMatrixLayoutCreate) layout_create;
  decltype(&::cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&::cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&::cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&::cublasLtMatmulPreferenceSetAttribute) preference_set;
};

/// The library's functions. Throws ft::InputError where the library is missing. Any thread may call.
const CublasLt& cublaslt();

/// d [m, n] (+)= op(a) op(b) (+ bias), all row-major; what an algorithm is chosen by.
struct ProductShape {
  DType in = DType::f32,
        out = DType::f32;  // of a and b; of d and the bias: f32·f32→f32, 16 bits·16 bits→the same or f32
  int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;     // a is [m, k], transposed [k, m]; b [k, n] or [n, k]
  int64_t lda = 0, ldb = 0, ldd = 0;                 // row strides, elements
  int32_t align_a = 16, align_b = 16, align_d = 16;  // bytes, powers of two: alignment_of()
  bool bias = false;                                 // [n], added to every row; 16-byte aligned

  auto operator<=>(const ProductShape&) const = default;
};

/// The largest power of two, at most 16, that divides the address: more helps no kernel of the library that
/// rows of any stride can use, and would make the choice depend on where an allocator puts things.
int32_t alignment_of(const void* p);

/// A product made ready: descriptors and algorithm. Cheap to make (the algorithm is looked up once a shape).
class Product {
 public:
  /// Most workspace that an algorithm may ask for.
  static constexpr size_t kMostWorkspace = size_t{32} << 20;

  Product(const CudaStream& s, const ProductShape& shape);
  /// Bytes that run() needs, at most kMostWorkspace.
  size_t workspace_bytes() const { return workspace_bytes_; }
  /// Queues it. `bias` is null exactly when the shape has none; `workspace` is 256-byte aligned.
  void run(CudaStream& s, const void* a, const void* b, const void* bias, void* d, bool accumulate,
           void* workspace) const;

 private:
  template <class Pointer>
  struct Destroy {
    cublasStatus_t (*destroy)(Pointer);
    void operator()(Pointer p) const { destroy(p); }
  };
  template <class Pointer>
  using Owned = std::unique_ptr<std::remove_pointer_t<Pointer>, Destroy<Pointer>>;
  using Layout = Owned<cublasLtMatrixLayout_t>;

  static Layout layout(DType type, int64_t rows, int64_t cols, int64_t ld);
  cublasLtMatmulHeuristicResult_t choose(cublasLtHandle_t handle) const;

  ProductShape shape_;
  cublasLtHandle_t handle_ = nullptr;
  Owned<cublasLtMatmulDesc_t> desc_;
  Layout a_, b_, d_;
  cublasLtMatmulAlgo_t algorithm_{};
  size_t workspace_bytes_ = 0;
};

}  // namespace ft
