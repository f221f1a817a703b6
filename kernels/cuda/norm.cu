// RMSNorm and LayerNorm with the residual addition fused, and their gradients.
//
// A row belongs to a warp, or, beyond kWarpColumns, to a block of 256 threads. It is read once from memory;
// the second and third pass over it (mean, squares of the distance from the mean, result) find it in L1, and
// h = x + residual is formed anew in each. `sum` is written in the last pass alone, so it may be x or
// residual. h is rounded to T before anything else is done with it: backward sees the h that forward
// normalised. Backward, with g = dy·(weight + offset) and x̂ = (h − mean)·rstd:
//   dh = rstd·(g − x̂·mean(g·x̂) − mean(g))      (the last term for LayerNorm only)
//   dweight += Σ dy·x̂,  dbias += Σ dy           per sample in order: column_sum.cuh
#include "engine/ops/norm.h"

#include "kernels/cuda/column_sum.cuh"
#include "kernels/cuda/row_grid.cuh"

namespace ft {
namespace {

constexpr int kWarpColumns = 1024;
constexpr int kRowThreads = 256;

/// The row of this warp or block of kThreads.
template <int kThreads>
__device__ __forceinline__ int64_t own_row() {
  return kThreads == kWarp ? row_of_warp() : int64_t{blockIdx.x};
}

/// f(column) for the first column of each of the thread's groups.
template <class T, int kThreads, class F>
__device__ __forceinline__ void for_each_column(int64_t cols, F&& f) {
  for (int64_t c = threadIdx.x * kGroup<T>; c < cols; c += kThreads * kGroup<T>) f(c);
}

template <class T, int kThreads>
__global__ void __launch_bounds__(kRowThreads) norm_kernel(NormArgs<T> a, bool aligned) {
  constexpr int kN = kGroup<T>;
  const int64_t row = own_row<kThreads>(), start = row * a.cols;
  if (row >= a.rows) return;
  const auto load_h = [&](int64_t c, float(&h)[kN]) {
    load_values(a.x + start + c, a.cols - c, aligned, h);
    if (!a.residual) return;
    float residual[kN];
    load_values(a.residual + start + c, a.cols - c, aligned, residual);
#pragma unroll
    for (int k = 0; k < kN; ++k) h[k] = value(rounded<T>(h[k] + residual[k]));
  };
  const auto cols = static_cast<float>(a.cols);

  float mean = 0;
  if (a.center) {
    float sum = 0;
    for_each_column<T, kThreads>(a.cols, [&](int64_t c) {
      float h[kN];
      load_h(c, h);
#pragma unroll
      for (int k = 0; k < kN; ++k) sum += h[k];
    });
    mean = block_sum<kThreads>(sum) / cols;
  }
  float squares = 0;
  for_each_column<T, kThreads>(a.cols, [&](int64_t c) {
    float h[kN];
    load_h(c, h);
#pragma unroll
    for (int k = 0; k < kN; ++k) {
      const float distance = k < a.cols - c ? h[k] - mean : 0;
      squares += distance * distance;
    }
  });
  const float rstd = 1 / sqrtf(block_sum<kThreads>(squares) / cols + a.eps);
  if (threadIdx.x == 0) {
    if (a.center) a.mean[row] = mean;
    a.rstd[row] = rstd;
  }
  for_each_column<T, kThreads>(a.cols, [&](int64_t c) {
    float h[kN], weight[kN], bias[kN] = {};
    load_h(c, h);
    if (a.residual) store_values(a.sum + start + c, a.cols - c, aligned, h);
    load_values(a.weight + c, a.cols - c, aligned, weight);
    if (a.bias) load_values(a.bias + c, a.cols - c, aligned, bias);
#pragma unroll
    for (int k = 0; k < kN; ++k) h[k] = (h[k] - mean) * rstd * (weight[k] + a.weight_offset) + bias[k];
    store_values(a.y + start + c, a.cols - c, aligned, h);
  });
}

template <class T, int kThreads>
__global__ void __launch_bounds__(kRowThreads)
    norm_grad_kernel(NormGradArgs<T> a, int64_t rows, bool aligned) {
  constexpr int kN = kGroup<T>;
  const int64_t row = own_row<kThreads>(), start = row * a.cols;
  if (row >= rows) return;
  const float mean = a.mean ? a.mean[row] : 0, rstd = a.rstd[row];
  const auto load = [&](int64_t c, float(&g)[kN], float(&normed)[kN]) {
    float weight[kN];
    load_values(a.dy + start + c, a.cols - c, aligned, g);
    load_values(a.h + start + c, a.cols - c, aligned, normed);
    load_values(a.weight + c, a.cols - c, aligned, weight);
#pragma unroll
    for (int k = 0; k < kN; ++k) {
      g[k] *= weight[k] + a.weight_offset;
      normed[k] = (normed[k] - mean) * rstd;
    }
  };

  float sum_g = 0, sum_gx = 0;
  for_each_column<T, kThreads>(a.cols, [&](int64_t c) {
    float g[kN], normed[kN];
    load(c, g, normed);
#pragma unroll
    for (int k = 0; k < kN; ++k) {
      sum_g += g[k];
      sum_gx += g[k] * normed[k];
    }
  });
  const auto cols = static_cast<float>(a.cols);
  const float mean_g = a.mean ? block_sum<kThreads>(sum_g) / cols : 0;
  const float mean_gx = block_sum<kThreads>(sum_gx) / cols;
  for_each_column<T, kThreads>(a.cols, [&](int64_t c) {
    float g[kN], normed[kN], old[kN] = {};
    load(c, g, normed);
    if (a.accumulate) load_values(a.dh + start + c, a.cols - c, aligned, old);
#pragma unroll
    for (int k = 0; k < kN; ++k) g[k] = old[k] + rstd * (g[k] - mean_g - normed[k] * mean_gx);
    store_values(a.dh + start + c, a.cols - c, aligned, g);
  });
}

/// What a row adds to dweight.
template <class T>
struct WeightTerms {
  NormGradArgs<T> a;
  bool aligned;
  __device__ __forceinline__ void operator()(int64_t row, int64_t c, float (&v)[1][kGroup<T>]) const {
    const float mean = a.mean ? a.mean[row] : 0, rstd = a.rstd[row];
    float h[kGroup<T>];
    load_values(a.dy + row * a.cols + c, a.cols - c, aligned, v[0]);
    load_values(a.h + row * a.cols + c, a.cols - c, aligned, h);
#pragma unroll
    for (int k = 0; k < kGroup<T>; ++k) v[0][k] *= (h[k] - mean) * rstd;
  }
};
/// What a row adds to dbias.
template <class T>
struct BiasTerms {
  NormGradArgs<T> a;
  bool aligned;
  __device__ __forceinline__ void operator()(int64_t row, int64_t c, float (&v)[1][kGroup<T>]) const {
    load_values(a.dy + row * a.cols + c, a.cols - c, aligned, v[0]);
  }
};
/// Both in one pass over dy: dweight, dbias.
template <class T>
struct WeightAndBiasTerms {
  NormGradArgs<T> a;
  bool aligned;
  __device__ __forceinline__ void operator()(int64_t row, int64_t c, float (&v)[2][kGroup<T>]) const {
    const float mean = a.mean ? a.mean[row] : 0, rstd = a.rstd[row];
    float h[kGroup<T>];
    load_values(a.dy + row * a.cols + c, a.cols - c, aligned, v[1]);
    load_values(a.h + row * a.cols + c, a.cols - c, aligned, h);
#pragma unroll
    for (int k = 0; k < kGroup<T>; ++k) v[0][k] = v[1][k] * ((h[k] - mean) * rstd);
  }
};

template <class T>
void norm_impl(CudaStream& s, const NormArgs<T>& a) {
  if (a.rows == 0 || a.cols == 0) return;
  const bool aligned = aligned_rows(a.x, a.cols) && aligned_rows(a.residual) && aligned_rows(a.sum) &&
                       aligned_rows(a.y) && aligned_rows(a.weight) && aligned_rows(a.bias);
  if (a.cols <= kWarpColumns) {
    const RowGrid grid(a.rows, 1);
    norm_kernel<T, kWarp><<<grid.blocks, grid.threads, 0, s.handle()>>>(a, aligned);
  } else {
    norm_kernel<T, kRowThreads><<<static_cast<unsigned>(a.rows), kRowThreads, 0, s.handle()>>>(a, aligned);
  }
  check_launch("norm");
}

template <class T>
void norm_grad_impl(CudaStream& s, const NormGradArgs<T>& a) {
  const int64_t rows = a.segments.tokens() * a.rows_per_token;
  if (rows == 0 || a.cols == 0) return;
  const bool aligned =
      aligned_rows(a.dy, a.cols) && aligned_rows(a.h) && aligned_rows(a.dh) && aligned_rows(a.weight);
  // The sums over columns come first: dh may be the buffer of dy.
  const auto add_sums = [&]<int kSums>(const auto& terms, const ColumnOutputs<kSums>& outputs) {
    add_column_sums<T, kSums>(s, "norm_grad", a.segments, a.rows_per_token, a.cols, terms, outputs);
  };
  if (a.dweight && a.dbias)
    add_sums(WeightAndBiasTerms<T>{a, aligned}, ColumnOutputs<2>{{a.dweight, a.dbias}});
  else if (a.dweight)
    add_sums(WeightTerms<T>{a, aligned}, ColumnOutputs<1>{{a.dweight}});
  else if (a.dbias)
    add_sums(BiasTerms<T>{a, aligned}, ColumnOutputs<1>{{a.dbias}});
  if (!a.dh) return;
  if (a.cols <= kWarpColumns) {
    const RowGrid grid(rows, 1);
    norm_grad_kernel<T, kWarp><<<grid.blocks, grid.threads, 0, s.handle()>>>(a, rows, aligned);
  } else {
    norm_grad_kernel<T, kRowThreads>
        <<<static_cast<unsigned>(rows), kRowThreads, 0, s.handle()>>>(a, rows, aligned);
  }
  check_launch("norm_grad");
}

}  // namespace

void norm(CudaStream& s, const NormArgs<float>& a) {
  norm_impl(s, a);
}
void norm(CudaStream& s, const NormArgs<BF16>& a) {
  norm_impl(s, a);
}
void norm(CudaStream& s, const NormArgs<F16>& a) {
  norm_impl(s, a);
}
void norm_grad(CudaStream& s, const NormGradArgs<float>& a) {
  norm_grad_impl(s, a);
}
void norm_grad(CudaStream& s, const NormGradArgs<BF16>& a) {
  norm_grad_impl(s, a);
}
void norm_grad(CudaStream& s, const NormGradArgs<F16>& a) {
  norm_grad_impl(s, a);
}

}  // namespace ft
