// The products with W on a CUDA device: W is plain row-major [N, K], every product is one call of cuBLASLt.
//
// Invariants: no operand is transposed or copied, except that a W stored in another type than the activations
// is converted chunk by chunk into scratch (64 MiB) before it is read. Chunks cut the result's columns, never
// the sum: every element of y and dx is summed in float32 and rounded once. Unlike the CPU's products, bits
// of a row may depend on the number of rows, because the library picks an algorithm by shape, and a weight
// gradient is one sum over all tokens, not a sum of samples.
// A 16-bit product takes its bias in its own type (the library has no other), so the float32 bias is rounded.
#include "engine/ops/matmul.h"

#include <algorithm>
#include <cstddef>

#include "engine/core/check.h"
#include "kernels/cuda/convert.h"
#include "kernels/cuda/cublaslt.h"
#include "kernels/cuda/scratch_limit.h"

namespace ft {
namespace {

constexpr int64_t kChunkStep = 16;  // chunks start at multiples of it: as aligned as the whole

/// Columns of the result whose part of W, `depth` elements each, fits a chunk.
template <class T>
int64_t chunk_columns(int64_t columns, int64_t depth) {
  const int64_t fit = scratch_limit() / (depth * static_cast<int64_t>(sizeof(T)));
  return std::min(columns, std::max(fit / kChunkStep * kChunkStep, kChunkStep));
}

size_t padded(size_t bytes) {
  return (bytes + 255) / 256 * 256;
}

const void* element(const PackedView& w, int64_t n, int64_t k) {
  return static_cast<const std::byte*>(w.data) + static_cast<size_t>(n * w.cols + k) * size_of(w.dtype);
}

void check_weight(const char* op, const PackedView& w) {
  FT_CHECK(w.rows > 0 && w.cols > 0 && w.data, "[{}] expected a weight, got [{}, {}]", op, w.rows, w.cols);
  FT_CHECK(w.dtype == DType::f32 || w.dtype == DType::bf16 || w.dtype == DType::f16,
           "[{}] expected a weight of float32, bfloat16 or float16, got {}", op, dtype_name(w.dtype));
}

template <class T>
void forward(CudaStream& s, const MatmulArgs<T>& a) {
  const int64_t N = a.w.rows, K = a.w.cols;
  check_weight("matmul", a.w);
  FT_CHECK(a.ldx >= K && a.ldy >= N, "[matmul] expected row strides of at least {} and {}, got {} and {}", K,
           N, a.ldx, a.ldy);
  if (a.tokens == 0) return;
  const bool convert_w = a.w.dtype != dtype_of<T>;
  const int64_t each = convert_w ? chunk_columns<T>(N, K) : N;
  for (int64_t n = 0; n < N; n += each) {
    const int64_t count = std::min(each, N - n);
    const void* w = element(a.w, n, 0);
    const Wide<T>* bias = a.bias ? a.bias + n : nullptr;
    const bool convert_bias = bias && (dtype_of<T> != DType::f32 || alignment_of(bias) < 16);
    T* y = a.y + n;
    const Product product(s, {.in = dtype_of<T>,
                              .out = dtype_of<T>,
                              .m = a.tokens,
                              .n = count,
                              .k = K,
                              .transpose_b = true,
                              .lda = a.ldx,
                              .ldb = K,
                              .ldd = a.ldy,
                              .align_a = alignment_of(a.x),
                              .align_b = convert_w ? 16 : alignment_of(w),
                              .align_d = alignment_of(y),
                              .bias = bias != nullptr});
    const size_t w_bytes = convert_w ? padded(static_cast<size_t>(count * K) * sizeof(T)) : 0;
    const size_t bias_bytes = convert_bias ? padded(static_cast<size_t>(count) * sizeof(T)) : 0;
    auto* scratch =
        s.scratch<std::byte>(static_cast<int64_t>(w_bytes + bias_bytes + product.workspace_bytes()));
    if (convert_w) {
      convert_rows(s, {count, K, a.w.dtype, w, K, dtype_of<T>, scratch, K});
      w = scratch;
    }
    const void* added = bias;
    if (convert_bias) {
      added = scratch + w_bytes;
      convert_rows(s, {1, count, DType::f32, bias, count, dtype_of<T>, scratch + w_bytes, count});
    }
    product.run(s, a.x, w, added, y, a.accumulate, scratch + w_bytes + bias_bytes);
  }
}

template <class T>
void grad_input(CudaStream& s, const MatmulGradInputArgs<T>& a) {
  const int64_t N = a.w.rows, K = a.w.cols;
  check_weight("matmul_grad_input", a.w);
  FT_CHECK(a.ldy >= N && a.ldx >= K,
           "[matmul_grad_input] expected row strides of at least {} and {}, got {} and {}", N, K, a.ldy,
           a.ldx);
  if (a.tokens == 0) return;
  const bool convert_w = a.w.dtype != dtype_of<T>;
  const int64_t each = convert_w ? chunk_columns<T>(K, N) : K;
  for (int64_t k = 0; k < K; k += each) {
    const int64_t count = std::min(each, K - k);
    const void* w = element(a.w, 0, k);
    T* dx = a.dx + k;
    const Product product(s, {.in = dtype_of<T>,
                              .out = dtype_of<T>,
                              .m = a.tokens,
                              .n = count,
                              .k = N,
                              .lda = a.ldy,
                              .ldb = convert_w ? count : K,
                              .ldd = a.ldx,
                              .align_a = alignment_of(a.dy),
                              .align_b = convert_w ? 16 : alignment_of(w),
                              .align_d = alignment_of(dx)});
    const size_t w_bytes = convert_w ? padded(static_cast<size_t>(N * count) * sizeof(T)) : 0;
    auto* scratch = s.scratch<std::byte>(static_cast<int64_t>(w_bytes + product.workspace_bytes()));
    if (convert_w) {
      convert_rows(s, {N, count, a.w.dtype, w, K, dtype_of<T>, scratch, count});
      w = scratch;
    }
    product.run(s, a.dy, w, nullptr, dx, a.accumulate, scratch + w_bytes);
  }
}

template <class T>
void grad_weight(CudaStream& s, const MatmulGradWeightArgs<T>& a) {
  FT_CHECK(a.rows > 0 && a.cols > 0 && a.ldy >= a.rows && a.ldx >= a.cols,
           "[matmul_grad_weight] expected row strides of at least {} and {}, got {} and {}", a.rows, a.cols,
           a.ldy, a.ldx);
  const int64_t tokens = a.segments.tokens();
  if (tokens == 0) return;
  const Product product(s, {.in = dtype_of<T>,
                            .out = DType::f32,
                            .m = a.rows,
                            .n = a.cols,
                            .k = tokens,
                            .transpose_a = true,
                            .lda = a.ldy,
                            .ldb = a.ldx,
                            .ldd = a.cols,
                            .align_a = alignment_of(a.dy),
                            .align_b = alignment_of(a.x),
                            .align_d = alignment_of(a.dw)});
  product.run(s, a.dy, a.x, nullptr, a.dw, true, s.scratch(product.workspace_bytes()));
}

}  // namespace

void matmul(CudaStream& s, const MatmulArgs<float>& a) {
  forward(s, a);
}
void matmul(CudaStream& s, const MatmulArgs<BF16>& a) {
  forward(s, a);
}
void matmul(CudaStream& s, const MatmulArgs<F16>& a) {
  forward(s, a);
}
void matmul_grad_input(CudaStream& s, const MatmulGradInputArgs<float>& a) {
  grad_input(s, a);
}
void matmul_grad_input(CudaStream& s, const MatmulGradInputArgs<BF16>& a) {
  grad_input(s, a);
}
void matmul_grad_input(CudaStream& s, const MatmulGradInputArgs<F16>& a) {
  grad_input(s, a);
}
void matmul_grad_weight(CudaStream& s, const MatmulGradWeightArgs<float>& a) {
  grad_weight(s, a);
}
void matmul_grad_weight(CudaStream& s, const MatmulGradWeightArgs<BF16>& a) {
  grad_weight(s, a);
}
void matmul_grad_weight(CudaStream& s, const MatmulGradWeightArgs<F16>& a) {
  grad_weight(s, a);
}

}  // namespace ft
