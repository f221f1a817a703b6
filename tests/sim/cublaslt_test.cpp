// The simulator's stand-in for cuBLASLt: right for every transposition, type and scalar that it accepts, and
// an error status where the real library would fail or silently read something else.
#include <gtest/gtest.h>

#include <array>

#include "kernels/cuda/cublaslt.h"
#include "kernels/sim/sim.h"
#include "tests/cuda/bf16.h"
#include "tests/cuda/device_vector.h"

namespace ft::test {
namespace {

/// One product d [m, n] = alpha op(a) op(b) + beta c + bias, column-major, through the raw calls.
struct Call {
  int64_t m = 5, n = 4, k = 300;
  bool transpose_a = false, transpose_b = false, bias = false;
  cudaDataType in = CUDA_R_32F, out = CUDA_R_32F;
  float alpha = 1, beta = 0;
  uint32_t alignment = 16;

  cublasLtMatmulDesc_t desc = nullptr;
  std::array<cublasLtMatrixLayout_t, 3> layouts{};
  cublasLtMatmulHeuristicResult_t chosen{};
  cublasLtHandle_t handle = nullptr;

  Call() { EXPECT_EQ(cublaslt().create(&handle), CUBLAS_STATUS_SUCCESS); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call() {
    release();
    cublaslt().destroy(handle);
  }
  void release() {
    if (desc) cublaslt().desc_destroy(desc);
    for (const auto layout : layouts)
      if (layout) cublaslt().layout_destroy(layout);
    desc = nullptr;
    layouts = {};
  }

  int64_t lda() const { return (transpose_a ? k : m) + 1; }
  int64_t ldb() const { return (transpose_b ? n : k) + 2; }
  int64_t ldd() const { return m + 3; }
  int64_t a_count() const { return lda() * (transpose_a ? m : k); }
  int64_t b_count() const { return ldb() * (transpose_b ? k : n); }

  cublasStatus_t prepare(const void* bias_pointer) {
    release();
    const CublasLt& lt = cublaslt();
    lt.desc_create(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    const auto set = [&](cublasLtMatmulDescAttributes_t name, const auto& v) {
      EXPECT_EQ(lt.desc_set(desc, name, &v, sizeof v), CUBLAS_STATUS_SUCCESS);
    };
    set(CUBLASLT_MATMUL_DESC_TRANSA, int32_t{transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N});
    set(CUBLASLT_MATMUL_DESC_TRANSB, int32_t{transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N});
    if (bias) set(CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t{CUBLASLT_EPILOGUE_BIAS});
    if (bias) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias_pointer);
    const auto layout = [&](size_t i, cudaDataType type, int64_t rows, int64_t cols, int64_t ld) {
      lt.layout_create(&layouts[i], type, static_cast<uint64_t>(rows), static_cast<uint64_t>(cols), ld);
    };
    layout(0, in, transpose_a ? k : m, transpose_a ? m : k, lda());
    layout(1, in, transpose_b ? n : k, transpose_b ? k : n, ldb());
    layout(2, out, m, n, ldd());
    cublasLtMatmulPreference_t preference = nullptr;
    lt.preference_create(&preference);
    const uint64_t workspace = 1 << 20;
    lt.preference_set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace);
    for (const auto name :
         {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
      lt.preference_set(preference, name, &alignment, sizeof alignment);
    int count = 0;
    const cublasStatus_t status = lt.heuristic(handle, desc, layouts[0], layouts[1], layouts[2], layouts[2],
                                               preference, 1, &chosen, &count);
    lt.preference_destroy(preference);
    return status;
  }
  cublasStatus_t run(const void* a, const void* b, void* d, DeviceVector<std::byte>& workspace) {
    return cublaslt().matmul(handle, desc, &alpha, a, layouts[0], b, layouts[1], &beta, d, layouts[2], d,
                             layouts[2], &chosen.algo, workspace.data(),
                             static_cast<size_t>(workspace.size()), cuda_stream().handle());
  }
};

template <class In, class Out>
void compare(cudaDataType in, cudaDataType out) {
  for (int bits = 0; bits < 8; ++bits) {
    Call call;
    call.in = in;
    call.out = out;
    call.transpose_a = bits & 1;
    call.transpose_b = bits & 2;
    call.bias = bits & 4;
    call.alpha = 0.5f;
    call.beta = bits & 4 ? -1 : 0;
    const auto a = random_bf16(call.a_count(), "a"), b = random_bf16(call.b_count(), "b");
    const auto d = random_bf16(call.ldd() * call.n, "d"), bias = random_bf16(call.m, "bias");
    const DeviceVector<In> on_a(as_type<In>(a)), on_b(as_type<In>(b));
    const DeviceVector<Out> on_bias(as_type<Out>(bias));
    DeviceVector<Out> on_d(as_type<Out>(d));
    DeviceVector<std::byte> workspace(1 << 20);
    ASSERT_EQ(call.prepare(on_bias.data()), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(call.run(on_a.data(), on_b.data(), on_d.data(), workspace), CUBLAS_STATUS_SUCCESS);
    const std::vector<double> got = exactly(on_d.host());
    for (int64_t j = 0; j < call.n; ++j) {
      for (int64_t i = 0; i < call.m; ++i) {
        const auto at = static_cast<size_t>(j * call.ldd() + i);
        double sum = 0;
        for (int64_t k = 0; k < call.k; ++k) {
          const int64_t in_a = call.transpose_a ? i * call.lda() + k : k * call.lda() + i;
          const int64_t in_b = call.transpose_b ? k * call.ldb() + j : j * call.ldb() + k;
          sum += static_cast<double>(a[static_cast<size_t>(in_a)]) *
                 static_cast<double>(b[static_cast<size_t>(in_b)]);
        }
        const double expected =
            0.5 * sum + call.beta * d[at] + (call.bias ? bias[static_cast<size_t>(i)] : 0);
        const double unit = std::is_same_v<Out, BF16> ? 0x1p-8 : 0x1p-20;
        ASSERT_NEAR(got[at], expected, unit * std::fabs(expected) + 1e-4)
            << i << ", " << j << " of case " << bits;
      }
      const auto guard = static_cast<size_t>(j * call.ldd() + call.m);
      ASSERT_EQ(got[guard], static_cast<double>(d[guard]));
    }
  }
}

TEST(sim_cublaslt, every_transposition_and_type) {
  compare<float, float>(CUDA_R_32F, CUDA_R_32F);
  compare<BF16, BF16>(CUDA_R_16BF, CUDA_R_16BF);
  compare<BF16, float>(CUDA_R_16BF, CUDA_R_32F);
}

TEST(sim_cublaslt, what_the_library_refuses_is_refused) {
  Call call;
  call.out = CUDA_R_16BF;  // float32 operands have a float32 result
  EXPECT_EQ(call.prepare(nullptr), CUBLAS_STATUS_NOT_SUPPORTED);
  call.out = CUDA_R_32F;
  call.bias = true;
  EXPECT_EQ(call.prepare(reinterpret_cast<const void*>(uintptr_t{20})), CUBLAS_STATUS_NOT_SUPPORTED);
  call.bias = false;
  ASSERT_EQ(call.prepare(nullptr), CUBLAS_STATUS_SUCCESS);
  const int32_t order = CUBLASLT_ORDER_ROW;
  EXPECT_EQ(cublaslt().desc_set(call.desc, CUBLASLT_MATMUL_DESC_FILL_MODE, &order, sizeof order),
            CUBLAS_STATUS_NOT_SUPPORTED);
  EXPECT_EQ(cublaslt().desc_set(call.desc, CUBLASLT_MATMUL_DESC_TRANSA, &order, 1),
            CUBLAS_STATUS_INVALID_VALUE);
}

TEST(sim_cublaslt, a_call_unlike_its_algorithm_or_outside_memory_fails) {
  Call call;
  const DeviceVector<float> a(std::vector<float>(static_cast<size_t>(call.a_count() + 1))),
      b(std::vector<float>(static_cast<size_t>(call.b_count() + 1)));
  DeviceVector<float> d(call.ldd() * call.n), small(call.ldd() * call.n - 8);
  DeviceVector<std::byte> workspace(1 << 20), none(16);
  ASSERT_EQ(call.prepare(nullptr), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(call.run(a.data(), b.data(), d.data(), workspace), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(call.run(a.data() + 1, b.data(), d.data(), workspace), CUBLAS_STATUS_INVALID_VALUE);  // alignment
  EXPECT_EQ(call.run(a.data(), b.data(), d.data(), none), CUBLAS_STATUS_INVALID_VALUE);
  sim::clear_reports();
  EXPECT_EQ(call.run(a.data(), b.data(), small.data(), workspace), CUBLAS_STATUS_EXECUTION_FAILED);
  EXPECT_EQ(call.run(std::vector<float>(4000).data(), b.data(), d.data(), workspace),
            CUBLAS_STATUS_EXECUTION_FAILED);
  EXPECT_FALSE(sim::reports().empty());
  sim::clear_reports();
  const auto other = call.chosen;
  call.k = 299;
  ASSERT_EQ(call.prepare(nullptr), CUBLAS_STATUS_SUCCESS);
  call.chosen = other;
  EXPECT_EQ(call.run(a.data(), b.data(), d.data(), workspace), CUBLAS_STATUS_INVALID_VALUE);
}

}  // namespace
}  // namespace ft::test
