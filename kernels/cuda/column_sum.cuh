// Sums over tokens, one a column: bias and norm-weight gradients. out[c] += Σ over samples, in order, of the
// sample's own sum; a sample's sum is formed from chunks of kChunkRows rows counted from its first row. So
// the bits depend on the samples alone, not on what else is in the pass, and nothing is added atomically.
//
// Pass 1: a block sums one chunk for 32 groups of columns, eight warps taking every eighth row, combined in
// order through shared memory, into partial [slot][sum][column]. Pass 2: a thread a column goes over the
// chunks. Memory: x once, the partial sums (1/64 of it) twice.
//
// Chunks are numbered by slots: sample s has the slots from ⌊first row/kChunkRows⌋ + s on, which are enough
// for it whatever its length; a slot without rows is skipped on both sides. So no list of chunks has to be
// made.
#pragma once

#include <cstdint>

#include "engine/core/segments.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/pack.cuh"
#include "kernels/cuda/reduce.cuh"

namespace ft {

constexpr int kChunkRows = 64;
constexpr int kColumnWarps = 8;

struct SampleRows {
  const int32_t* bounds;  // device
  int32_t count;
  int64_t rows_per_token;

  __host__ __device__ int64_t slots(int64_t tokens) const {
    return tokens * rows_per_token / kChunkRows + count;
  }
  __device__ int64_t first_row(int32_t sample) const { return bounds[sample] * rows_per_token; }
  __device__ int64_t first_slot(int32_t sample) const { return first_row(sample) / kChunkRows + sample; }
  /// The last sample that starts at or before `slot`.
  __device__ int32_t sample_of(int64_t slot) const {
    int32_t low = 0, high = count - 1;
    while (low < high) {
      const int32_t middle = (low + high + 1) / 2;
      if (first_slot(middle) <= slot)
        low = middle;
      else
        high = middle - 1;
    }
    return low;
  }
};

template <int kSums>
struct ColumnOutputs {
  float* out[kSums];  // [cols] each
};

/// Terms has `void operator()(int64_t row, int64_t column, float (&v)[kSums][kGroup<T>]) const`: what the
/// columns from `column` on of a row add to each sum; 0 beyond the last column.
template <class T, int kSums, class Terms>
__global__ void __launch_bounds__(kColumnWarps* kWarp)
    sum_chunks(Terms terms, SampleRows rows, int64_t cols, float* partial) {
  constexpr int kN = kGroup<T>, kColumns = kWarp * kN;
  // Written lane by lane and read column by column: with this row length both touch every bank once.
  constexpr int kStride = kWarp + kWarp / kN;
  __shared__ float of_warp[kColumnWarps][kSums][kN * kStride];
  const int64_t slot = blockIdx.x;
  const int32_t sample = rows.sample_of(slot);
  const int64_t begin = rows.first_row(sample) + (slot - rows.first_slot(sample)) * kChunkRows;
  const int64_t last = rows.first_row(sample + 1);
  if (begin >= last) return;
  const int64_t end = last < begin + kChunkRows ? last : begin + kChunkRows;
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;

  float sum[kSums][kN] = {};
  const int64_t tile = int64_t{blockIdx.y} * kColumns, column = tile + lane * kN;
  if (column < cols) {
#pragma unroll 2
    for (int64_t row = begin + warp; row < end; row += kColumnWarps) {
      float v[kSums][kN];
      terms(row, column, v);
#pragma unroll
      for (int i = 0; i < kSums; ++i)
#pragma unroll
        for (int k = 0; k < kN; ++k) sum[i][k] += v[i][k];
    }
  }
#pragma unroll
  for (int i = 0; i < kSums; ++i)
#pragma unroll
    for (int k = 0; k < kN; ++k) of_warp[warp][i][k * kStride + lane] = sum[i][k];
  __syncthreads();

  for (int c = threadIdx.x; c < kColumns && tile + c < cols; c += kColumnWarps * kWarp) {
#pragma unroll
    for (int i = 0; i < kSums; ++i) {
      const int at = c % kN * kStride + c / kN;
      float total = of_warp[0][i][at];
#pragma unroll
      for (int w = 1; w < kColumnWarps; ++w) total += of_warp[w][i][at];
      partial[(slot * kSums + i) * cols + tile + c] = total;
    }
  }
}

template <int kSums>
__global__ void __launch_bounds__(kWarp* kColumnWarps)
    add_chunks(SampleRows rows, int64_t cols, const float* partial, ColumnOutputs<kSums> outputs) {
  const int64_t column = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (column >= cols) return;
  float total[kSums];
#pragma unroll
  for (int i = 0; i < kSums; ++i) total[i] = outputs.out[i][column];
  for (int32_t sample = 0; sample < rows.count; ++sample) {
    const int64_t length = rows.first_row(sample + 1) - rows.first_row(sample);
    const int64_t chunks = (length + kChunkRows - 1) / kChunkRows;
    const float* p = partial + rows.first_slot(sample) * kSums * cols + column;
    float sum[kSums] = {};
#pragma unroll 4
    for (int64_t chunk = 0; chunk < chunks; ++chunk)
#pragma unroll
      for (int i = 0; i < kSums; ++i) sum[i] += p[(chunk * kSums + i) * cols];
#pragma unroll
    for (int i = 0; i < kSums; ++i) total[i] += sum[i];
  }
#pragma unroll
  for (int i = 0; i < kSums; ++i) outputs.out[i][column] = total[i];
}

/// Queues both passes: outputs.out[i][c] += Σ terms, over all rows of the samples.
template <class T, int kSums, class Terms>
void add_column_sums(CudaStream& s, const char* op, const Segments& segments, int64_t rows_per_token,
                     int64_t cols, const Terms& terms, const ColumnOutputs<kSums>& outputs) {
  if (segments.tokens() == 0 || cols == 0) return;
  const SampleRows rows{segments.bounds.device, segments.count, rows_per_token};
  const int64_t slots = rows.slots(segments.tokens());
  float* partial = s.scratch<float>(slots * kSums * cols);
  constexpr int kThreads = kColumnWarps * kWarp;
  const dim3 blocks(static_cast<unsigned>(slots), static_cast<unsigned>(blocks_for(cols, kWarp * kGroup<T>)));
  sum_chunks<T, kSums><<<blocks, kThreads, 0, s.handle()>>>(terms, rows, cols, partial);
  check_launch(op);
  add_chunks<kSums><<<static_cast<unsigned>(blocks_for(cols, kThreads)), kThreads, 0, s.handle()>>>(
      rows, cols, partial, outputs);
  check_launch(op);
}

}  // namespace ft
