// y = x Wᵀ + b + s·(x Aᵀ) Bᵀ, one kernel. A block owns 64 tokens × 64 outputs and walks along K. The rows of
// A are 16 or 64 (the rank, padded) more rows of its W tile: the x tile in shared memory feeds both, so x is
// read no more often than without the adapter, and u = x Aᵀ is ready in the block when y is. The expansion
// s·u Bᵀ is added before y is rounded, so y is written once. The price: u is formed again by every block
// along N, padded rank / 64 more multiplications. Invariants: a row's bits follow from the row and the
// weights alone; float32 sums in the order of K, each element of y rounded once. Tiles are fetched to
// registers while the previous ones are multiplied; any size and alignment (16-byte reads where rows allow
// them).
#include "kernels/cuda/lora_linear.h"

#include "kernels/cuda/launch.h"
#include "kernels/cuda/pack.cuh"
#include "kernels/cuda/ptx.cuh"

namespace ft {
namespace {

constexpr int kTokens = 64, kOutputs = 64, kMostRank = 64;

template <class T>
struct Aligned {
  bool x, w, a, bt, y;
};

/// A group of `N` neighbours of row `row` of a matrix with `rows` rows, zero outside, as floats.
template <int N, class S>
__device__ __forceinline__ void fetch(const S* p, int64_t ld, int64_t row, int64_t rows, int64_t k,
                                      int64_t cols, bool aligned, float (&v)[N]) {
  load_values(p + row * ld + k, row < rows ? cols - k : 0, aligned, v);
}

// 16 bits. Four warps with 16 tokens each and all outputs; fragments as ptx.cuh has them.
namespace tensor_cores {

constexpr int kThreads = 128, kDepth = 32, kGroupOf = 8;
constexpr int kStride = kDepth + 8;  // of a tile's row: eight rows of ldmatrix fall into different banks
constexpr int kWideStride = kOutputs + 8;

/// A tile of kRows × kDepth: what one thread fetches of it.
template <class T, int kRows>
struct Part {
  static constexpr int kCount = kRows * kDepth / kGroupOf / kThreads;
  static_assert(kCount * kGroupOf * kThreads == kRows * kDepth);
  Group<T, kGroupOf> group[kCount];

  template <class S>
  __device__ __forceinline__ void fetch_from(const S* p, int64_t ld, int64_t row0, int64_t rows, int64_t k,
                                             int64_t cols, bool aligned) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int at = i * kThreads + static_cast<int>(threadIdx.x),
                column = at % (kDepth / kGroupOf) * kGroupOf;
      float v[kGroupOf];
      fetch(p, ld, row0 + at / (kDepth / kGroupOf), rows, k + column, cols, aligned, v);
#pragma unroll
      for (int j = 0; j < kGroupOf; ++j) group[i].v[j] = rounded<T>(v[j]);
    }
  }
  __device__ __forceinline__ void store_to(T (*tile)[kStride]) const {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int at = i * kThreads + static_cast<int>(threadIdx.x),
                column = at % (kDepth / kGroupOf) * kGroupOf;
      *reinterpret_cast<Group<T, kGroupOf>*>(&tile[at / (kDepth / kGroupOf)][column]) = group[i];
    }
  }
};

template <class T, int kRank>
__global__ void __launch_bounds__(kThreads) lora_linear_kernel(LoraLinearArgs<T> p, Aligned<T> aligned) {
  constexpr int kTiles = (kOutputs + kRank) / 8, kOutputTiles = kOutputs / 8;
  __shared__ __align__(16) T xs[kTokens][kStride];
  __shared__ __align__(16) T ws[kOutputs + kRank][kStride];  // W's rows, then A's
  __shared__ __align__(16) T bs[kRank][kWideStride];
  const int64_t t0 = int64_t{blockIdx.y} * kTokens, n0 = int64_t{blockIdx.x} * kOutputs;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;

  // Bt's part, whole: rows past the rank are zero, as are A's.
  for (int i = threadIdx.x; i < kRank * kOutputs / kGroupOf; i += kThreads) {
    const int q = i / (kOutputs / kGroupOf), n = i % (kOutputs / kGroupOf) * kGroupOf;
    float v[kGroupOf];
    fetch(p.bt, p.outputs, q, p.rank, n0 + n, p.outputs, aligned.bt, v);
    store_values(&bs[q][n], kGroupOf, true, v);
  }

  float sum[kTiles][4] = {};
  Part<T, kTokens> x;
  Part<T, kOutputs> w;
  Part<T, (kRank < 32 ? 32 : kRank)> a;  // at least a group each; rows past kRank are not stored
  const auto fetch_all = [&](int64_t k) {
    x.fetch_from(p.x, p.ldx, t0, p.tokens, k, p.inputs, aligned.x);
    w.fetch_from(p.w, p.inputs, n0, p.outputs, k, p.inputs, aligned.w);
    a.fetch_from(p.a, p.inputs, 0, p.rank, k, p.inputs, aligned.a);
  };
  fetch_all(0);
  for (int64_t k0 = 0; k0 < p.inputs; k0 += kDepth) {
    __syncthreads();
    x.store_to(xs);
    w.store_to(ws);
    if (kRank >= 32 || threadIdx.x < kRank * kDepth / kGroupOf) a.store_to(ws + kOutputs);
    __syncthreads();
    if (k0 + kDepth < p.inputs) fetch_all(k0 + kDepth);
#pragma unroll
    for (int k = 0; k < kDepth; k += 16) {
      uint32_t rows[4];
      ptx::load_matrices(rows, &xs[warp * 16 + lane % 16][k + lane / 16 * 8]);
#pragma unroll
      for (int i = 0; i < kTiles; i += 2) {
        uint32_t columns[4];
        ptx::load_matrices(columns, &ws[i * 8 + lane / 16 * 8 + lane % 8][k + lane / 8 % 2 * 8]);
        ptx::multiply_add<T>(sum[i], rows, columns[0], columns[1]);
        ptx::multiply_add<T>(sum[i + 1], rows, columns[2], columns[3]);
      }
    }
  }

  // All blocks along N have the same u; the first writes it.
  if (p.u && blockIdx.x == 0) {
#pragma unroll
    for (int i = 0; i < kRank / 8; ++i) {
      const int64_t q = i * 8 + lane % 4 * 2, left = p.rank - q;
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int64_t t = t0 + warp * 16 + half * 8 + lane / 4;
        const float v[2] = {sum[kOutputTiles + i][2 * half], sum[kOutputTiles + i][2 * half + 1]};
        if (t < p.tokens) store_values(p.u + t * p.rank + q, left, false, v);
      }
    }
  }
  // The sums of u are laid out as the left operand of the next product wants them.
#pragma unroll
  for (int q = 0; q < kRank; q += 16) {
    const float(&low)[4] = sum[kOutputTiles + q / 8];
    const float(&high)[4] = sum[kOutputTiles + q / 8 + 1];
    const uint32_t u[4] = {ptx::pack<T>(p.scale * low[0], p.scale * low[1]),
                           ptx::pack<T>(p.scale * low[2], p.scale * low[3]),
                           ptx::pack<T>(p.scale * high[0], p.scale * high[1]),
                           ptx::pack<T>(p.scale * high[2], p.scale * high[3])};
#pragma unroll
    for (int i = 0; i < kOutputTiles; i += 2) {
      uint32_t columns[4];
      ptx::load_matrices_transposed(columns, &bs[q + lane / 8 % 2 * 8 + lane % 8][i * 8 + lane / 16 * 8]);
      ptx::multiply_add<T>(sum[i], u, columns[0], columns[1]);
      ptx::multiply_add<T>(sum[i + 1], u, columns[2], columns[3]);
    }
  }

#pragma unroll
  for (int i = 0; i < kOutputTiles; ++i) {
    const int64_t n = n0 + i * 8 + lane % 4 * 2, left = p.outputs - n;
    if (left <= 0) continue;
    float added[2] = {};
    if (p.bias) load_values(p.bias + n, left, false, added);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int64_t t = t0 + warp * 16 + half * 8 + lane / 4;
      const float v[2] = {sum[i][2 * half] + added[0], sum[i][2 * half + 1] + added[1]};
      if (t < p.tokens) store_values(p.y + t * p.ldy + n, left, aligned.y, v);
    }
  }
}

}  // namespace tensor_cores

// float32. 16 × 16 threads with 4 tokens × 4 outputs each, and 4 tokens × (padded rank / 16) of u.
namespace plain {

constexpr int kThreads = 256, kDepth = 16, kSide = 4;
constexpr int kStride = kTokens + 4;  // tiles lie k by k, so that a thread's 4 neighbours are one read

/// One group of 4 along K of a tile of kRows × kDepth.
template <int kRows>
struct Part {
  static constexpr int kUsed = kRows * kDepth / kSide;  // threads
  float v[kSide];

  __device__ __forceinline__ void fetch_from(const float* p, int64_t ld, int64_t row0, int64_t rows,
                                             int64_t k, int64_t cols, bool aligned) {
    const int row = threadIdx.x / kSide, column = threadIdx.x % kSide * kSide;
    fetch(p, ld, row0 + row, threadIdx.x < kUsed ? rows : 0, k + column, cols, aligned, v);
  }
  template <int kLd>
  __device__ __forceinline__ void store_to(float (*tile)[kLd]) const {
    if (threadIdx.x >= kUsed) return;
#pragma unroll
    for (int i = 0; i < kSide; ++i) tile[threadIdx.x % kSide * kSide + i][threadIdx.x / kSide] = v[i];
  }
};

template <int kRank>
__global__ void __launch_bounds__(kThreads)
    lora_linear_kernel(LoraLinearArgs<float> p, Aligned<float> aligned) {
  constexpr int kRanks = kRank / 16;
  __shared__ __align__(16) float xs[kDepth][kStride], ws[kDepth][kStride];
  __shared__ __align__(16) float as[kDepth][kRank + 4];
  __shared__ float us[kTokens][kRank + 1];
  const int64_t t0 = int64_t{blockIdx.y} * kTokens, n0 = int64_t{blockIdx.x} * kOutputs;
  const int ty = threadIdx.x / 16, tx = threadIdx.x % 16;

  float sum[kSide][kSide] = {}, u[kSide][kRanks] = {};
  Part<kTokens> x;
  Part<kOutputs> w;
  Part<kRank> a;
  const auto fetch_all = [&](int64_t k) {
    x.fetch_from(p.x, p.ldx, t0, p.tokens, k, p.inputs, aligned.x);
    w.fetch_from(p.w, p.inputs, n0, p.outputs, k, p.inputs, aligned.w);
    a.fetch_from(p.a, p.inputs, 0, p.rank, k, p.inputs, aligned.a);
  };
  fetch_all(0);
  for (int64_t k0 = 0; k0 < p.inputs; k0 += kDepth) {
    __syncthreads();
    x.store_to(xs);
    w.store_to(ws);
    a.store_to(as);
    __syncthreads();
    if (k0 + kDepth < p.inputs) fetch_all(k0 + kDepth);
#pragma unroll
    for (int k = 0; k < kDepth; ++k) {
      float rows[kSide], columns[kSide];
      load_values(&xs[k][ty * kSide], kSide, true, rows);
      load_values(&ws[k][tx * kSide], kSide, true, columns);
#pragma unroll
      for (int i = 0; i < kSide; ++i) {
#pragma unroll
        for (int j = 0; j < kSide; ++j) sum[i][j] = fmaf(rows[i], columns[j], sum[i][j]);
#pragma unroll
        for (int j = 0; j < kRanks; ++j) u[i][j] = fmaf(rows[i], as[k][j * 16 + tx], u[i][j]);
      }
    }
  }

#pragma unroll
  for (int i = 0; i < kSide; ++i) {
#pragma unroll
    for (int j = 0; j < kRanks; ++j) {
      const int64_t t = t0 + ty * kSide + i, q = j * 16 + tx;
      us[ty * kSide + i][j * 16 + tx] = u[i][j];
      // All blocks along N have the same u; the first writes it.
      if (p.u && blockIdx.x == 0 && t < p.tokens && q < p.rank) p.u[t * p.rank + q] = u[i][j];
    }
  }
  __syncthreads();
  const int64_t n = n0 + tx * kSide, left = p.outputs - n;
  if (left <= 0) return;
  float added[kSide] = {}, low_rank[kSide][kSide] = {};
  if (p.bias) load_values(p.bias + n, left, false, added);
  for (int q = 0; q < p.rank; ++q) {
    float b[kSide];
    load_values(p.bt + q * p.outputs + n, left, aligned.bt, b);
#pragma unroll
    for (int i = 0; i < kSide; ++i) {
#pragma unroll
      for (int j = 0; j < kSide; ++j) low_rank[i][j] = fmaf(us[ty * kSide + i][q], b[j], low_rank[i][j]);
    }
  }
#pragma unroll
  for (int i = 0; i < kSide; ++i) {
    const int64_t t = t0 + ty * kSide + i;
    if (t >= p.tokens) break;
    float v[kSide];
#pragma unroll
    for (int j = 0; j < kSide; ++j) v[j] = fmaf(p.scale, low_rank[i][j], sum[i][j] + added[j]);
    store_values(p.y + t * p.ldy + n, left, aligned.y, v);
  }
}

}  // namespace plain

template <class T, int kRank>
void launch_kernel(CudaStream& s, const LoraLinearArgs<T>& p) {
  // y is stored by pairs of 16 bits and by groups of four float32.
  const size_t store = sizeof(T) == 2 ? 2 * sizeof(T) : 4 * sizeof(T);
  const Aligned<T> aligned = {
      aligned_rows(p.x, p.ldx), aligned_rows(p.w, p.inputs), aligned_rows(p.a, p.inputs),
      aligned_rows(p.bt, p.outputs),
      reinterpret_cast<uintptr_t>(p.y) % store == 0 && static_cast<size_t>(p.ldy) * sizeof(T) % store == 0};
  const dim3 grid(static_cast<unsigned>(blocks_for(p.outputs, kOutputs)),
                  static_cast<unsigned>(blocks_for(p.tokens, kTokens)));
  if constexpr (sizeof(T) == 2) {
    tensor_cores::lora_linear_kernel<T, kRank><<<grid, tensor_cores::kThreads, 0, s.handle()>>>(p, aligned);
  } else {
    plain::lora_linear_kernel<kRank><<<grid, plain::kThreads, 0, s.handle()>>>(p, aligned);
  }
  check_launch("lora_linear");
}

template <class T>
void linear(CudaStream& s, const LoraLinearArgs<T>& p) {
  FT_CHECK(p.outputs > 0 && p.inputs > 0 && p.rank > 0 && p.rank <= kMostRank && p.ldx >= p.inputs &&
               p.ldy >= p.outputs,
           "[lora_linear] expected a rank of 1 to {} and rows within their strides, got [{}, {}], rank {}, "
           "strides {} and {}",
           kMostRank, p.outputs, p.inputs, p.rank, p.ldx, p.ldy);
  if (p.tokens == 0) return;
  if (p.rank <= 16)
    launch_kernel<T, 16>(s, p);
  else
    launch_kernel<T, 64>(s, p);
}

}  // namespace

void lora_linear(CudaStream& s, const LoraLinearArgs<float>& p) {
  linear(s, p);
}
void lora_linear(CudaStream& s, const LoraLinearArgs<BF16>& p) {
  linear(s, p);
}
void lora_linear(CudaStream& s, const LoraLinearArgs<F16>& p) {
  linear(s, p);
}

}  // namespace ft
