// Attention on tensor cores, T of 16 bits (BF16, F16): blocks of four warps over a resident tile of rows
// (lanes, or keys in the gradient of keys), of which a warp owns 16 or 32, and walked tiles of rows on the
// other side, brought in by asynchronous copies, two tiles deep. A warp skips the tiles that its rows have no
// pair with. A product of resident and walked rows leaves its weights in registers in just the layout in
// which the next product, weights times walked rows, takes them: they never see memory.
//
// Shared tiles are [rows][D + 8]: the pad gives the eight rows of a matrix different banks.
#pragma once

#include "kernels/cuda/attention_sample.cuh"
#include "kernels/cuda/ptx.cuh"

namespace ft::cuda_attention {

constexpr int kMmaThreads = 128, kWarps = kMmaThreads / 32;
constexpr float kLog2E = 1.44269504088896341f, kLn2 = 0.693147180559945309f;

/// Does the tensor cores' path take this call? Head sizes that are multiples of 16 up to 128, every row at a
/// multiple of 16 bytes.
template <class T>
bool takes_tensor_cores(const AttentionArgs<T>& a);
template <class T>
bool takes_tensor_cores(const AttentionGradArgs<T>& g);
/// Forward of the samples whose keys are not cut into pieces.
template <class T>
void attention_mma(CudaStream& stream, const AttentionArgs<T>& a);
/// dq, dk, dv and the samples' prefix sums, from δ; see attention_grad.cu.
template <class T>
void attention_grad_mma(CudaStream& stream, const AttentionGradArgs<T>& g, const float* delta,
                        float* prefix_sums);

/// Adds the bias by distance, where there is one, to a fragment of products that are still to be scaled;
/// pair(n, i) tells the lane (x) and the key (y) of x[n][i]. A loop of its own: other calls pay a branch.
template <class T, int N, class Pair>
__device__ void add_relative_bias(const AttentionArgs<T>& a, const Sample& s, int kv_head, float (&x)[N][4],
                                  Pair pair) {
  if (!a.relative_bias) return;
  const float unit = 1 / a.scale;
#pragma unroll
  for (int n = 0; n < N; ++n)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int2 at = pair(n, i);
      const float bias = relative_bias(a, kv_head * s.group + at.x % s.group, at.y - s.own(at.x / s.group));
      x[n][i] = fmaf(bias, unit, x[n][i]);
    }
}

/// Calls f.operator()<D>() with the smallest tile width D that holds head_dim.
template <class F>
void for_mma_head_dim(int64_t head_dim, F&& f) {
  if (head_dim <= 32) return f.template operator()<32>();
  if (head_dim <= 64) return f.template operator()<64>();
  if (head_dim <= 96) return f.template operator()<96>();
  return f.template operator()<128>();
}

template <class T, int D, int kRows>
struct Rows {
  T x[kRows][D + 8];
};

/// Starts copies of row(0) … row(valid − 1), zeros elsewhere. `any` is some valid address.
template <class T, int D, int kRows, class RowOf>
__device__ void copy_rows(Rows<T, D, kRows>& tile, int valid, int head_dim, const T* any, RowOf row) {
  constexpr int kChunks = D / 8;
  for (int at = threadIdx.x; at < kRows * kChunks; at += kMmaThreads) {
    const int r = at / kChunks, f = at % kChunks * 8;
    const bool wanted = r < valid && f < head_dim;
    ptx::copy_async_16(&tile.x[r][f], wanted ? row(r) + f : any, wanted);
  }
}
template <class T, int D, int kRows>
__device__ void copy_lanes(Rows<T, D, kRows>& tile, const T* p, int64_t ld, int64_t head_dim, const Sample& s,
                           int kv_head, int lane_begin) {
  copy_rows(tile, s.lanes() - lane_begin, static_cast<int>(head_dim), p,
            [&](int r) { return p + lane_offset(s, kv_head, lane_begin + r, ld, head_dim); });
}
template <class T, int D, int kRows>
__device__ void copy_keys(Rows<T, D, kRows>& tile, const T* prefix, int64_t ld_prefix, const T* own,
                          int64_t ld, int64_t head_dim, const Sample& s, int kv_head, int begin) {
  copy_rows(tile, s.keys - begin, static_cast<int>(head_dim), own,
            [&](int r) { return key_row(prefix, ld_prefix, own, ld, s, begin + r) + kv_head * head_dim; });
}

/// The A fragment of the rows [row, row + 16), features [16 step, 16 step + 16).
template <class T, int D, int kRows>
__device__ void resident_fragment(uint32_t (&a)[4], const Rows<T, D, kRows>& tile, int row, int step) {
  const int l = threadIdx.x % 32;
  ptx::load_matrices(a, &tile.x[row + l % 16][step * 16 + l / 16 * 8]);
}

/// acc[m][n] = the warp's m-th 16 resident rows · walked rows [8 n, 8 n + 8), over D features.
/// fragment(a, m, step) gives the resident side.
template <int D, class T, int M, int N, class Fragment>
__device__ void multiply_resident(Fragment fragment, const Rows<T, D, N * 8>& walked, float (&acc)[M][N][4]) {
  const int l = threadIdx.x % 32, row = l % 8 + l / 16 * 8, column = l / 8 % 2 * 8;
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int n = 0; n < N; ++n) acc[m][n][0] = acc[m][n][1] = acc[m][n][2] = acc[m][n][3] = 0;
#pragma unroll
  for (int step = 0; step < D / 16; ++step) {
    uint32_t a[M][4];
#pragma unroll
    for (int m = 0; m < M; ++m) fragment(a[m], m, step);
#pragma unroll
    for (int n = 0; n < N; n += 2) {
      uint32_t b[4];
      ptx::load_matrices(b, &walked.x[n * 8 + row][step * 16 + column]);
#pragma unroll
      for (int m = 0; m < M; ++m) {
        ptx::multiply_add<T>(acc[m][n], a[m], b[0], b[1]);
        ptx::multiply_add<T>(acc[m][n + 1], a[m], b[2], b[3]);
      }
    }
  }
}

/// acc[m][j], features [8 j, 8 j + 8), += weights[m] [16, 8 N], rounded to T, times the walked rows.
template <int D, class T, int M, int N>
__device__ void add_weighted_walked(const float (&weights)[M][N][4], const Rows<T, D, N * 8>& walked,
                                    float (&acc)[M][D / 8][4]) {
  const int l = threadIdx.x % 32, row = l % 16, column = l / 16 * 8;
#pragma unroll
  for (int n = 0; n < N; n += 2) {
    uint32_t a[M][4];
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        a[m][i] = ptx::pack<T>(weights[m][n + i / 2][i % 2 * 2], weights[m][n + i / 2][i % 2 * 2 + 1]);
#pragma unroll
    for (int j = 0; j < D / 8; j += 2) {
      uint32_t b[4];
      ptx::load_matrices_transposed(b, &walked.x[n * 8 + row][j * 8 + column]);
#pragma unroll
      for (int m = 0; m < M; ++m) {
        ptx::multiply_add<T>(acc[m][j], a[m], b[0], b[1]);
        ptx::multiply_add<T>(acc[m][j + 1], a[m], b[2], b[3]);
      }
    }
  }
}

/// Writes the rows [first, first + 16) of a warp, row g times factor[0] and row g + 8 times factor[1],
/// through the same rows of a shared tile so that 16 bytes go at a time. row(r) is where row r goes, or null.
template <class T, int D, int kRows, class RowOf>
__device__ void store_fragments(Rows<T, D, kRows>& tile, int first, const float (&acc)[D / 8][4],
                                const float (&factor)[2], int head_dim, RowOf row) {
  const int l = threadIdx.x % 32, g = first + l / 4, t = l % 4;
#pragma unroll
  for (int j = 0; j < D / 8; ++j)
#pragma unroll
    for (int half = 0; half < 2; ++half)
      *reinterpret_cast<uint32_t*>(&tile.x[g + half * 8][j * 8 + t * 2]) =
          ptx::pack<T>(acc[j][half * 2] * factor[half], acc[j][half * 2 + 1] * factor[half]);
  __syncwarp();
  constexpr int kChunks = D / 8;
  for (int at = l; at < 16 * kChunks; at += 32) {
    const int r = first + at / kChunks, f = at % kChunks * 8;
    T* to = row(r);
    if (to && f < head_dim)
      *reinterpret_cast<uint4*>(to + f) = *reinterpret_cast<const uint4*>(&tile.x[r][f]);
  }
  __syncwarp();
}

}  // namespace ft::cuda_attention
