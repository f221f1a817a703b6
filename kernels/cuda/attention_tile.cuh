// Attention in float: blocks of 256 threads that hold a tile of rows × columns in registers, over operands in
// shared memory, whatever the type in global memory.
//
// Shared tiles are [rows][D + 4] floats: the pad lets eight neighbouring rows be read without conflict.
// Thread (tx, ty) of 16 × 16 owns the rows ty · R … ty · R + R − 1 of a product. A row of a product is thus
// owned by one half of a warp: what it writes to shared memory for itself needs no barrier of the block.
#pragma once

#include "kernels/cuda/attention_sample.cuh"
#include "kernels/cuda/ptx.cuh"
#include "kernels/cuda/value.cuh"

namespace ft::cuda_attention {

constexpr int kThreads = 256;

/// Calls f.operator()<D>() with the smallest tile width D that holds head_dim.
template <class F>
void for_head_dim(int64_t head_dim, F&& f) {
  if (head_dim <= 16) return f.template operator()<16>();
  if (head_dim <= 32) return f.template operator()<32>();
  if (head_dim <= 64) return f.template operator()<64>();
  if (head_dim <= 128) return f.template operator()<128>();
  return f.template operator()<256>();
}

// ---- rows in global memory

template <class T>
struct alignas(4 * sizeof(T)) Quad {
  T v[4];
};

/// Can the rows' heads be read four elements at a time?
template <class T>
__device__ bool in_quads(const T* p, int64_t ld, int64_t head_dim) {
  const uint64_t bits = reinterpret_cast<uint64_t>(p) | static_cast<uint64_t>(ld | head_dim) * sizeof(T);
  return bits % (4 * sizeof(T)) == 0;
}

/// Elements [f, f + 4) of a row of `head_dim`, zero beyond it.
template <class T>
__device__ float4 load_quad(const T* row, int f, int head_dim, bool quads) {
  if (quads) {
    const Quad<T> x = *reinterpret_cast<const Quad<T>*>(row + f);
    return {value(x.v[0]), value(x.v[1]), value(x.v[2]), value(x.v[3])};
  }
  return {value(row[f]), f + 1 < head_dim ? value(row[f + 1]) : 0.0f,
          f + 2 < head_dim ? value(row[f + 2]) : 0.0f, f + 3 < head_dim ? value(row[f + 3]) : 0.0f};
}

/// Fills a tile [rows][D + 4] with row(0) … row(valid − 1) of head_dim elements, zeros elsewhere.
template <int D, class RowOf>
__device__ void load_rows(float* tile, int rows, int valid, int head_dim, bool quads, RowOf row) {
  constexpr int kQuads = D / 4;
  for (int at = threadIdx.x; at < rows * kQuads; at += kThreads) {
    const int r = at / kQuads, f = at % kQuads * 4;
    float4 x = {0, 0, 0, 0};
    if (r < valid && f < head_dim) x = load_quad(row(r), f, head_dim, quads);
    *reinterpret_cast<float4*>(tile + r * (D + 4) + f) = x;
  }
}

/// Rows of q, out, dout of the lanes from `lane_begin` on.
template <int D, class T>
__device__ void load_lanes(float* tile, int rows, const T* p, int64_t ld, int64_t head_dim, const Sample& s,
                           int kv_head, int lane_begin) {
  load_rows<D>(tile, rows, s.lanes() - lane_begin, static_cast<int>(head_dim), in_quads(p, ld, head_dim),
               [&](int r) { return p + lane_offset(s, kv_head, lane_begin + r, ld, head_dim); });
}

/// Rows of k or v from key `begin` on, of the prefix and then of the sample.
template <int D, class T>
__device__ void load_keys(float* tile, int rows, const T* prefix, int64_t ld_prefix, const T* own, int64_t ld,
                          int64_t head_dim, const Sample& s, int kv_head, int begin) {
  const bool quads = in_quads(own, ld, head_dim) && (s.prefix == 0 || in_quads(prefix, ld_prefix, head_dim));
  load_rows<D>(tile, rows, s.keys - begin, static_cast<int>(head_dim), quads,
               [&](int r) { return key_row(prefix, ld_prefix, own, ld, s, begin + r) + kv_head * head_dim; });
}

// ---- products

/// acc[i][j] = Σ_f a[ty·R + i][f] · b[tx + 16 j][f] over f < depth, a multiple of 4.
template <int D, int R, int C>
__device__ void multiply_rows(const float* a, const float* b, int depth, float (&acc)[R][C]) {
  const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  a += ty * R * (D + 4);
  b += tx * (D + 4);
#pragma unroll
  for (int i = 0; i < R; ++i)
#pragma unroll
    for (int j = 0; j < C; ++j) acc[i][j] = 0;
#pragma unroll 1
  for (int f = 0; f < depth; f += 4) {
    float4 x[R], y[C];
#pragma unroll
    for (int i = 0; i < R; ++i) x[i] = *reinterpret_cast<const float4*>(a + i * (D + 4) + f);
#pragma unroll
    for (int j = 0; j < C; ++j) y[j] = *reinterpret_cast<const float4*>(b + j * 16 * (D + 4) + f);
#pragma unroll
    for (int i = 0; i < R; ++i)
#pragma unroll
      for (int j = 0; j < C; ++j) {
        acc[i][j] = fmaf(x[i].x, y[j].x, acc[i][j]);
        acc[i][j] = fmaf(x[i].y, y[j].y, acc[i][j]);
        acc[i][j] = fmaf(x[i].z, y[j].z, acc[i][j]);
        acc[i][j] = fmaf(x[i].w, y[j].w, acc[i][j]);
      }
  }
}

/// The features that a thread owns of a row of D: runs of kRun neighbours, a run every 16 · kRun.
template <int D>
struct Features {
  static constexpr int kCount = D / 16, kRun = kCount < 4 ? kCount : 4;
  __device__ static int at(int c) { return c / kRun * 16 * kRun + threadIdx.x % 16 * kRun + c % kRun; }
};

/// acc[i][c] += Σ_k weights[ty·R + i][k] · rows[k][feature(c)] over k < depth, a multiple of 4.
template <int D, int R, int N>
__device__ void add_weighted_rows(const float (*weights)[N], const float* rows, int depth,
                                  float (&acc)[R][Features<D>::kCount]) {
  constexpr int kRun = Features<D>::kRun, kRuns = Features<D>::kCount / kRun;
  const int ty = threadIdx.x / 16;
#pragma unroll 1
  for (int k = 0; k < depth; k += 4) {
    float w[R][4];
#pragma unroll
    for (int i = 0; i < R; ++i) {
      const float4 x = *reinterpret_cast<const float4*>(&weights[ty * R + i][k]);
      w[i][0] = x.x, w[i][1] = x.y, w[i][2] = x.z, w[i][3] = x.w;
    }
#pragma unroll
    for (int step = 0; step < 4; ++step)
#pragma unroll
      for (int run = 0; run < kRuns; ++run) {
        struct alignas(4 * kRun) Run {
          float v[kRun];
        };
        const Run y =
            *reinterpret_cast<const Run*>(rows + (k + step) * (D + 4) + Features<D>::at(run * kRun));
#pragma unroll
        for (int i = 0; i < R; ++i)
#pragma unroll
          for (int c = 0; c < kRun; ++c)
            acc[i][run * kRun + c] = fmaf(w[i][step], y.v[c], acc[i][run * kRun + c]);
      }
  }
}

/// Writes a thread's part of one row of head_dim elements, times `factor`.
template <int D, class T>
__device__ void store_row(T* row, const float (&x)[Features<D>::kCount], float factor, int head_dim,
                          bool quads) {
  constexpr int kRun = Features<D>::kRun;
#pragma unroll
  for (int run = 0; run < Features<D>::kCount; run += kRun) {
    const int f = Features<D>::at(run);
    if (kRun == 4 && quads) {
      if (f < head_dim)
        ptx::store_quad(row + f, x[run] * factor, x[run + 1] * factor, x[run + 2] * factor,
                        x[run + 3] * factor);
    } else {
#pragma unroll
      for (int c = 0; c < kRun; ++c)
        if (f + c < head_dim) row[f + c] = rounded<T>(x[run + c] * factor);
    }
  }
}

}  // namespace ft::cuda_attention
