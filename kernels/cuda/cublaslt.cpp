// A product in cuBLASLt's terms. The library counts columns first: a row-major matrix is its transpose there,
// and d = op(a) op(b) becomes dᵀ = op(b)ᵀ op(a)ᵀ: the operands change places, the transposition flags stay,
// nothing is copied. Its bias runs along the rows of dᵀ, which are our columns.
#include "kernels/cuda/cublaslt.h"

#include <cuda_runtime_api.h>

#include <map>
#include <mutex>
#include <utility>

#include "engine/core/check.h"
#include "kernels/cuda/launch.h"

namespace ft {
namespace {

void check_lt(cublasStatus_t status, const char* what) {
  FT_CHECK(status == CUBLAS_STATUS_SUCCESS, "[cublaslt] {}: {}", what, cublaslt().status_string(status));
}

cudaDataType_t data_type(DType t) {
  switch (t) {
    case DType::f32:
      return CUDA_R_32F;
    case DType::bf16:
      return CUDA_R_16BF;
    case DType::f16:
      return CUDA_R_16F;
    default:
      fail("[cublaslt] expected float32, bfloat16 or float16, got {}", dtype_name(t));
  }
}

template <class V>
void set(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t name, const V& v) {
  check_lt(cublaslt().desc_set(desc, name, &v, sizeof v), "cublasLtMatmulDescSetAttribute");
}
template <class V>
void set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t name, const V& v) {
  check_lt(cublaslt().preference_set(preference, name, &v, sizeof v), "cublasLtMatmulPreferenceSetAttribute");
}

struct Cache {
  // Ragged batches bring new shapes all the time. A choice made again is the same choice.
  static constexpr size_t kMostChoices = 8192;
  std::mutex mutex;
  std::map<int, cublasLtHandle_t> handles;  // by device
  std::map<std::pair<int, ProductShape>, cublasLtMatmulHeuristicResult_t> choices;
};

/// Never destroyed: at exit the driver may be gone before the handles.
Cache& cache() {
  static Cache* c = new Cache;
  return *c;
}

cublasLtHandle_t handle_of(int device) {
  cublasLtHandle_t& handle = cache().handles[device];
  if (!handle) {
    check_cuda(cudaSetDevice(device), "cudaSetDevice");  // a handle belongs to the current device
    check_lt(cublaslt().create(&handle), "cublasLtCreate");
  }
  return handle;
}

}  // namespace

int32_t alignment_of(const void* p) {
  const auto address = reinterpret_cast<uintptr_t>(p) | 16;
  return static_cast<int32_t>(address & (~address + 1));
}

Product::Layout Product::layout(DType type, int64_t rows, int64_t cols, int64_t ld) {
  cublasLtMatrixLayout_t made = nullptr;
  check_lt(cublaslt().layout_create(&made, data_type(type), static_cast<uint64_t>(cols),
                                    static_cast<uint64_t>(rows), ld),
           "cublasLtMatrixLayoutCreate");
  return Layout(made, {cublaslt().layout_destroy});
}

Product::Product(const CudaStream& s, const ProductShape& shape)
    : shape_(shape), desc_(nullptr, {}), a_(nullptr, {}), b_(nullptr, {}), d_(nullptr, {}) {
  const ProductShape& p = shape_;
  FT_CHECK(p.m > 0 && p.n > 0 && p.k > 0, "[product] expected sizes above 0, got [{}, {}] over {}", p.m, p.n,
           p.k);
  const CublasLt& lt = cublaslt();
  cublasLtMatmulDesc_t desc = nullptr;
  check_lt(lt.desc_create(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
  desc_ = Owned<cublasLtMatmulDesc_t>(desc, {lt.desc_destroy});
  const auto operation = [](bool transposed) -> int32_t { return transposed ? CUBLAS_OP_T : CUBLAS_OP_N; };
  set(desc, CUBLASLT_MATMUL_DESC_TRANSA, operation(p.transpose_b));
  set(desc, CUBLASLT_MATMUL_DESC_TRANSB, operation(p.transpose_a));
  if (p.bias) {
    set(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t{CUBLASLT_EPILOGUE_BIAS});
    set(desc, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, static_cast<int32_t>(data_type(p.out)));
    // Not read while an algorithm is chosen, but its alignment is.
    set(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, reinterpret_cast<const void*>(uintptr_t{16}));
  }
  a_ = p.transpose_a ? layout(p.in, p.k, p.m, p.lda) : layout(p.in, p.m, p.k, p.lda);
  b_ = p.transpose_b ? layout(p.in, p.n, p.k, p.ldb) : layout(p.in, p.k, p.n, p.ldb);
  d_ = layout(p.out, p.m, p.n, p.ldd);

  Cache& c = cache();
  const std::lock_guard lock(c.mutex);
  const int device = s.device().index;
  handle_ = handle_of(device);
  const std::pair key{device, shape};
  auto found = c.choices.find(key);
  if (found == c.choices.end()) {
    if (c.choices.size() >= Cache::kMostChoices) c.choices.clear();
    found = c.choices.emplace(key, choose(handle_)).first;
  }
  algorithm_ = found->second.algo;
  workspace_bytes_ = found->second.workspaceSize;
}

cublasLtMatmulHeuristicResult_t Product::choose(cublasLtHandle_t handle) const {
  const CublasLt& lt = cublaslt();
  cublasLtMatmulPreference_t made = nullptr;
  check_lt(lt.preference_create(&made), "cublasLtMatmulPreferenceCreate");
  const Owned<cublasLtMatmulPreference_t> preference(made, {lt.preference_destroy});
  set(made, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{kMostWorkspace});
  // Parts of a split sum must not be rounded to 16 bits on the way.
  set(made, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  set(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, static_cast<uint32_t>(shape_.align_b));
  set(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, static_cast<uint32_t>(shape_.align_a));
  set(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, static_cast<uint32_t>(shape_.align_d));
  set(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, static_cast<uint32_t>(shape_.align_d));
  cublasLtMatmulHeuristicResult_t result{};
  int count = 0;
  const cublasStatus_t status =
      lt.heuristic(handle, desc_.get(), b_.get(), a_.get(), d_.get(), d_.get(), made, 1, &result, &count);
  const ProductShape& p = shape_;
  FT_CHECK(status == CUBLAS_STATUS_SUCCESS && count == 1 && result.state == CUBLAS_STATUS_SUCCESS,
           "[cublaslt] no algorithm for [{}, {}] over {} in {} to {} (strides {}, {}, {}): {}", p.m, p.n, p.k,
           dtype_name(p.in), dtype_name(p.out), p.lda, p.ldb, p.ldd,
           lt.status_string(status != CUBLAS_STATUS_SUCCESS ? status : CUBLAS_STATUS_NOT_SUPPORTED));
  return result;
}

void Product::run(CudaStream& s, const void* a, const void* b, const void* bias, void* d, bool accumulate,
                  void* workspace) const {
  FT_CHECK(shape_.bias == (bias != nullptr) && alignment_of(a) >= shape_.align_a &&
               alignment_of(b) >= shape_.align_b && alignment_of(d) >= shape_.align_d &&
               alignment_of(bias) == 16,
           "[product] operands are not those the algorithm was chosen for");
  if (bias) set(desc_.get(), CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  const float alpha = 1, beta = accumulate ? 1 : 0;
  check_lt(cublaslt().matmul(handle_, desc_.get(), &alpha, b, b_.get(), a, a_.get(), &beta, d, d_.get(), d,
                             d_.get(), &algorithm_, workspace, workspace_bytes_, s.handle()),
           "cublasLtMatmul");
}

}  // namespace ft
