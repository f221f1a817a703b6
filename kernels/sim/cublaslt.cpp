// The calls of cuBLASLt that the engine makes, answered by plain loops on the host: what the table of
// kernels/cuda/cublaslt.h holds in the simulator's program.
//
// Invariant: stricter than the library, never more lenient. A call must have been prepared the way the real
// one demands (shapes that fit, supported types, an algorithm chosen for this very product, operands as
// aligned as was promised, all of it inside live device memory) or gets an error status; what this file does
// not know is CUBLAS_STATUS_NOT_SUPPORTED. The workspace is asked for and filled with NaN, as a library may.
// Sums are float32, over chunks of 256 terms that are then added up: not the library's order, which is
// unknown. Matrices are column-major, as in the library's headers.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "engine/core/dtype.h"
#include "kernels/cuda/cublaslt.h"
#include "kernels/sim/host_access.h"
#include "kernels/sim/stream_queue.h"

namespace ft::sim {
namespace {

constexpr uint64_t kAlgorithm = 0x66745f73696d;  // marks an algorithm of this file
constexpr size_t kWorkspace = 4096;
constexpr int64_t kChunk = 256;

struct Layout {
  cudaDataType type;
  int64_t rows, cols, ld;
  bool operator==(const Layout&) const = default;
};
struct Operation {
  cublasComputeType_t compute;
  cudaDataType scale;
  int32_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
  uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;
  int32_t bias_type = -1;  // as the result
};
struct Preference {
  uint64_t workspace = 0;
  uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_MASK;
  uint32_t align_a = 256, align_b = 256, align_c = 256, align_d = 256;
};

// The library's types are opaque blocks of words; ours stand behind the same pointers.
Operation* of(cublasLtMatmulDesc_t p) {
  return reinterpret_cast<Operation*>(p);
}
Layout* of(cublasLtMatrixLayout_t p) {
  return reinterpret_cast<Layout*>(p);
}
Preference* of(cublasLtMatmulPreference_t p) {
  return reinterpret_cast<Preference*>(p);
}

cublasStatus_t create(cublasLtHandle_t* handle) {
  if (!handle) return CUBLAS_STATUS_INVALID_VALUE;
  *handle = reinterpret_cast<cublasLtHandle_t>(new int);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t destroy(cublasLtHandle_t handle) {
  delete reinterpret_cast<int*>(handle);
  return CUBLAS_STATUS_SUCCESS;
}
const char* status_string(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "success";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "invalid value";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "not supported";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "execution failed";
    default:
      return "another status";
  }
}

cublasStatus_t desc_create(cublasLtMatmulDesc_t* desc, cublasComputeType_t compute, cudaDataType_t scale) {
  *desc = reinterpret_cast<cublasLtMatmulDesc_t>(new Operation{compute, scale});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t desc_destroy(cublasLtMatmulDesc_t desc) {
  delete of(desc);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t layout_create(cublasLtMatrixLayout_t* layout, cudaDataType type, uint64_t rows, uint64_t cols,
                             int64_t ld) {
  *layout = reinterpret_cast<cublasLtMatrixLayout_t>(
      new Layout{type, static_cast<int64_t>(rows), static_cast<int64_t>(cols), ld});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t layout_destroy(cublasLtMatrixLayout_t layout) {
  delete of(layout);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t preference_create(cublasLtMatmulPreference_t* preference) {
  *preference = reinterpret_cast<cublasLtMatmulPreference_t>(new Preference);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t preference_destroy(cublasLtMatmulPreference_t preference) {
  delete of(preference);
  return CUBLAS_STATUS_SUCCESS;
}

template <class V>
cublasStatus_t assign(V& to, const void* from, size_t bytes) {
  if (!from || bytes != sizeof to) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&to, from, bytes);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t desc_set(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t name, const void* value,
                        size_t bytes) {
  switch (name) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return assign(of(desc)->transpose_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return assign(of(desc)->transpose_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return assign(of(desc)->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return assign(of(desc)->bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
      return assign(of(desc)->bias_type, value, bytes);
    default:
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}
cublasStatus_t preference_set(cublasLtMatmulPreference_t preference,
                              cublasLtMatmulPreferenceAttributes_t name, const void* value, size_t bytes) {
  Preference& p = *of(preference);
  switch (name) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return assign(p.workspace, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
      return assign(p.reductions, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
      return assign(p.align_a, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
      return assign(p.align_b, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
      return assign(p.align_c, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return assign(p.align_d, value, bytes);
    default:
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

size_t bytes_of(cudaDataType type) {
  return type == CUDA_R_32F ? 4 : 2;
}
/// Bytes from a matrix's first element to its last.
size_t span(const Layout& l) {
  return static_cast<size_t>((l.cols - 1) * l.ld + l.rows) * bytes_of(l.type);
}

/// A product d [m, n] = op(a) [m, k] op(b) [k, n], found valid.
struct Problem {
  Operation op;
  Layout a, b, c, d;
  int64_t m, n, k;
};

cublasStatus_t check(const Operation& op, const Layout& a, const Layout& b, const Layout& c, const Layout& d,
                     Problem& out) {
  for (const Layout* l : {&a, &b, &c, &d}) {
    if (l->type != CUDA_R_32F && l->type != CUDA_R_16BF && l->type != CUDA_R_16F)
      return CUBLAS_STATUS_NOT_SUPPORTED;
    if (l->rows <= 0 || l->cols <= 0 || l->ld < l->rows) return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (op.compute != CUBLAS_COMPUTE_32F || op.scale != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (op.epilogue != CUBLASLT_EPILOGUE_DEFAULT && op.epilogue != CUBLASLT_EPILOGUE_BIAS)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  for (const int32_t t : {op.transpose_a, op.transpose_b})
    if (t != CUBLAS_OP_N && t != CUBLAS_OP_T) return CUBLAS_STATUS_NOT_SUPPORTED;
  // Both inputs of one type; the result of the same, or float32. The bias as the result.
  if (a.type != b.type || c.type != d.type || (d.type != a.type && d.type != CUDA_R_32F))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  if (op.epilogue == CUBLASLT_EPILOGUE_BIAS && op.bias_type != -1 && op.bias_type != d.type)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  const bool ta = op.transpose_a == CUBLAS_OP_T, tb = op.transpose_b == CUBLAS_OP_T;
  out = {op, a, b, c, d, d.rows, d.cols, ta ? a.rows : a.cols};
  if ((ta ? a.cols : a.rows) != out.m || (tb ? b.cols : b.rows) != out.k || (tb ? b.rows : b.cols) != out.n ||
      c.rows != d.rows || c.cols != d.cols)
    return CUBLAS_STATUS_INVALID_VALUE;
  return CUBLAS_STATUS_SUCCESS;
}

/// What an algorithm was chosen for, in two words.
uint64_t digest(const Problem& p) {
  uint64_t h = 0xcbf29ce484222325;
  const auto mix = [&](int64_t v) { h = (h ^ static_cast<uint64_t>(v)) * 0x100000001b3; };
  for (const Layout* l : {&p.a, &p.b, &p.c, &p.d}) {
    mix(l->type);
    mix(l->rows);
    mix(l->cols);
    mix(l->ld);
  }
  mix(p.op.transpose_a);
  mix(p.op.transpose_b);
  mix(p.op.epilogue);
  return h;
}

bool is_aligned(const void* p, uint64_t bytes) {
  return reinterpret_cast<uintptr_t>(p) % bytes == 0;
}

cublasStatus_t heuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
                         cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                         cublasLtMatmulPreference_t preference, int wanted,
                         cublasLtMatmulHeuristicResult_t* results, int* count) {
  *count = 0;
  if (!handle || wanted < 1) return CUBLAS_STATUS_INVALID_VALUE;
  Problem p;
  const cublasStatus_t status = check(*of(desc), *of(a), *of(b), *of(c), *of(d), p);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  const Preference& prefer = *of(preference);
  if (p.op.epilogue == CUBLASLT_EPILOGUE_BIAS && !is_aligned(p.op.bias, 16))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  for (const uint32_t align : {prefer.align_a, prefer.align_b, prefer.align_c, prefer.align_d})
    if (align == 0 || (align & (align - 1)) != 0) return CUBLAS_STATUS_INVALID_VALUE;
  results[0] = {};
  results[0].algo.data[0] = kAlgorithm;
  results[0].algo.data[1] = digest(p);
  results[0].algo.data[2] = prefer.align_a;
  results[0].algo.data[3] = prefer.align_b;
  results[0].algo.data[4] = prefer.align_c;
  results[0].algo.data[5] = prefer.align_d;
  results[0].workspaceSize = std::min<size_t>(kWorkspace, prefer.workspace);
  results[0].algo.data[6] = results[0].workspaceSize;
  results[0].state = CUBLAS_STATUS_SUCCESS;
  *count = 1;
  return CUBLAS_STATUS_SUCCESS;
}

float load(const void* p, cudaDataType type, int64_t i) {
  if (type == CUDA_R_32F) return static_cast<const float*>(p)[i];
  if (type == CUDA_R_16BF) return to_float(static_cast<const BF16*>(p)[i]);
  return to_float(static_cast<const F16*>(p)[i]);
}
void store(void* p, cudaDataType type, int64_t i, float v) {
  if (type == CUDA_R_32F)
    static_cast<float*>(p)[i] = v;
  else if (type == CUDA_R_16BF)
    static_cast<BF16*>(p)[i] = to_bf16(v);
  else
    static_cast<F16*>(p)[i] = to_f16(v);
}

void multiply(const Problem& p, float alpha, const void* a, const void* b, float beta, const void* c,
              void* d) {
  const bool ta = p.op.transpose_a == CUBLAS_OP_T, tb = p.op.transpose_b == CUBLAS_OP_T;
  const auto m = static_cast<size_t>(p.m), n = static_cast<size_t>(p.n);
  // Widened op(a) of a chunk as [k][m], so that the inner loop runs along m for every type and transposition.
  std::vector<float> wide(static_cast<size_t>(std::min(kChunk, p.k)) * m), part(m), sum(m * n, 0.0f);
  for (int64_t k0 = 0; k0 < p.k; k0 += kChunk) {
    const int64_t depth = std::min(kChunk, p.k - k0);
    for (int64_t k = 0; k < depth; ++k)
      for (int64_t i = 0; i < p.m; ++i)
        wide[static_cast<size_t>(k) * m + static_cast<size_t>(i)] =
            load(a, p.a.type, ta ? i * p.a.ld + k0 + k : (k0 + k) * p.a.ld + i);
    for (size_t j = 0; j < n; ++j) {
      std::fill(part.begin(), part.end(), 0.0f);
      for (int64_t k = 0; k < depth; ++k) {
        const auto column = static_cast<int64_t>(j);
        const float factor = load(b, p.b.type, tb ? (k0 + k) * p.b.ld + column : column * p.b.ld + k0 + k);
        const float* row = wide.data() + static_cast<size_t>(k) * m;
        for (size_t i = 0; i < m; ++i) part[i] += row[i] * factor;
      }
      for (size_t i = 0; i < m; ++i) sum[j * m + i] += part[i];
    }
  }
  const bool biased = p.op.epilogue == CUBLASLT_EPILOGUE_BIAS;
  for (int64_t j = 0; j < p.n; ++j) {
    for (int64_t i = 0; i < p.m; ++i) {
      float v = alpha * sum[static_cast<size_t>(j * p.m + i)];
      if (beta != 0) v += beta * load(c, p.c.type, j * p.c.ld + i);
      if (biased) v += load(p.op.bias, p.d.type, i);
      store(d, p.d.type, j * p.d.ld + i, v);
    }
  }
}

/// The product itself; false, with a finding, for operands that do not lie in device memory.
bool run(const Problem& p, float alpha, const void* a, const void* b, float beta, const void* c, void* d,
         void* workspace, size_t workspace_bytes) {
  const auto rows = static_cast<size_t>(p.m) * bytes_of(p.d.type);
  const size_t stride = static_cast<size_t>(p.d.ld) * bytes_of(p.d.type);
  const auto columns = static_cast<size_t>(p.n);
  const auto read = [](const void* at, const Layout& l) {
    const size_t element = bytes_of(l.type);
    return host_reads("cublasLtMatmul", at, static_cast<size_t>(l.rows) * element,
                      static_cast<size_t>(l.ld) * element, static_cast<size_t>(l.cols));
  };
  bool ok = read(a, p.a) && read(b, p.b) && (beta == 0 || read(c, p.c));
  if (p.op.epilogue == CUBLASLT_EPILOGUE_BIAS)
    ok = ok && host_reads("cublasLtMatmul", p.op.bias, rows, rows, 1);
  ok = ok && host_writes("cublasLtMatmul", workspace, workspace_bytes, workspace_bytes, 1);
  ok = ok && host_writes("cublasLtMatmul", d, rows, stride, columns);
  if (!ok) return false;
  std::memset(workspace, 0xff, workspace_bytes);  // whatever shares it with an operand shows
  multiply(p, alpha, a, b, beta, c, d);
  return true;
}

cublasStatus_t matmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void* alpha, const void* a,
                      cublasLtMatrixLayout_t la, const void* b, cublasLtMatrixLayout_t lb, const void* beta,
                      const void* c, cublasLtMatrixLayout_t lc, void* d, cublasLtMatrixLayout_t ld,
                      const cublasLtMatmulAlgo_t* algo, void* workspace, size_t workspace_bytes,
                      cudaStream_t stream) {
  if (!handle || !alpha || !beta || !algo) return CUBLAS_STATUS_INVALID_VALUE;
  Problem p;
  const cublasStatus_t status = check(*of(desc), *of(la), *of(lb), *of(lc), *of(ld), p);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  if (algo->data[0] != kAlgorithm || algo->data[1] != digest(p)) return CUBLAS_STATUS_INVALID_VALUE;
  if (!is_aligned(a, algo->data[2]) || !is_aligned(b, algo->data[3]) || !is_aligned(c, algo->data[4]) ||
      !is_aligned(d, algo->data[5]) || workspace_bytes < algo->data[6] || !is_aligned(workspace, 16))
    return CUBLAS_STATUS_INVALID_VALUE;
  // In place means the same matrix.
  if (c == d && p.c != p.d) return CUBLAS_STATUS_INVALID_VALUE;
  const bool biased = p.op.epilogue == CUBLASLT_EPILOGUE_BIAS;
  if (biased && (!p.op.bias || !is_aligned(p.op.bias, 16))) return CUBLAS_STATUS_INVALID_VALUE;
  if (cudaPeekAtLastError() != cudaSuccess) return CUBLAS_STATUS_EXECUTION_FAILED;
  const float scale = *static_cast<const float*>(alpha), keep = *static_cast<const float*>(beta);
  const cudaError_t queued = enqueue(stream, [=] {
    return run(p, scale, a, b, keep, c, d, workspace, workspace_bytes) ? cudaSuccess : cudaErrorLaunchFailure;
  });
  return queued == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // namespace
}  // namespace ft::sim

namespace ft {

const CublasLt& cublaslt() {
  static const CublasLt lt = {
      .create = sim::create,
      .destroy = sim::destroy,
      .version = [] { return size_t{0}; },  // of no library
      .status_string = sim::status_string,
      .matmul = sim::matmul,
      .heuristic = sim::heuristic,
      .desc_create = sim::desc_create,
      .desc_destroy = sim::desc_destroy,
      .desc_set = sim::desc_set,
      .layout_create = sim::layout_create,
      .layout_destroy = sim::layout_destroy,
      .preference_create = sim::preference_create,
      .preference_destroy = sim::preference_destroy,
      .preference_set = sim::preference_set,
  };
  return lt;
}

}  // namespace ft
