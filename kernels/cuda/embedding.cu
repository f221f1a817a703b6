// Rows of a row-major table and the gradient's way back. Lookup: a warp a token, one read of the row, one
// write of y; each product and sum is rounded by itself, so float32 has the CPU's bits.
//
// The gradient adds to a row of dtable token by token in order, without atomics: the first token of each id
// owns the row, keeps its piece of it in registers and walks the later tokens with that id. Who is first and
// who comes next is found by a scan of the ids, a warp a token and done at the first hit: at worst
// tokens²/2 reads of 4 bytes (16384 tokens: 0.5 GB, of which L1 serves nearly all). An id that fills the
// batch costs one row after another.
#include "engine/ops/embedding.h"

#include "kernels/cuda/pack.cuh"
#include "kernels/cuda/row_grid.cuh"

namespace ft {
namespace {

template <class T, class S>
__global__ void __launch_bounds__(kWarp* kRowsPerBlock)
    gather_rows(EmbeddingArgs<T> a, const S* table, const int32_t* ids, bool aligned) {
  constexpr int kN = kGroup<T>;
  const int64_t token = row_of_warp(), cols = a.table.cols;
  if (token >= a.tokens) return;
  const S* row = table + ids[token] * cols;
  T* y = a.y + token * cols;
  for_each_group((cols + kN - 1) / kN, [&](int64_t group) {
    const int64_t c = group * kN, left = cols - c;
    float v[kN];
    load_values(row + c, left, aligned, v);
#pragma unroll
    for (int k = 0; k < kN; ++k) v[k] = __fmul_rn(a.scale, v[k]);
    if (a.accumulate) {
      float old[kN];
      load_values(y + c, left, aligned, old);
#pragma unroll
      for (int k = 0; k < kN; ++k) v[k] = __fadd_rn(old[k], v[k]);
    }
    store_values(y + c, left, aligned, v);
  });
}

template <class S, class T>
void gather(CudaStream& s, const EmbeddingArgs<T>& a) {
  if (a.tokens == 0 || a.table.cols == 0) return;
  const auto* table = static_cast<const S*>(a.table.data);
  const bool aligned = aligned_rows(table, a.table.cols) && aligned_rows(a.y, a.table.cols);
  const RowGrid grid(a.tokens, blocks_for(a.table.cols, kGroup<T>));
  gather_rows<<<grid.blocks, grid.threads, 0, s.handle()>>>(a, table, a.ids.device, aligned);
  check_launch("embedding");
}

template <class T>
void embedding_impl(CudaStream& s, const EmbeddingArgs<T>& a) {
  switch (a.table.dtype) {
    case DType::f32:
      return gather<float>(s, a);
    case DType::bf16:
      return gather<BF16>(s, a);
    case DType::f16:
      return gather<F16>(s, a);
    default:
      fail("[embedding] expected a table of float32, bfloat16 or float16, got {}", dtype_name(a.table.dtype));
  }
}

struct Link {
  int32_t first;  // 1 when no earlier token has this id
  int32_t next;   // the next token with this id, or −1
};

__global__ void __launch_bounds__(kWarp* kRowsPerBlock)
    link_tokens(int64_t tokens, const int32_t* ids, Link* links) {
  const int64_t token = row_of_warp(), lane = threadIdx.x;
  if (token >= tokens) return;
  const int32_t id = ids[token];
  Link link{1, -1};
  for (int64_t end = token; end > 0; end -= kWarp) {
    const int64_t other = end - 1 - lane;
    if (__any_sync(0xffffffffu, other >= 0 && ids[other] == id)) {
      link.first = 0;
      break;
    }
  }
  for (int64_t begin = token + 1; begin < tokens; begin += kWarp) {
    const int64_t other = begin + lane;
    const uint32_t same = __ballot_sync(0xffffffffu, other < tokens && ids[other] == id);
    if (same != 0) {
      link.next = static_cast<int32_t>(begin) + __ffs(static_cast<int>(same)) - 1;
      break;
    }
  }
  if (lane == 0) links[token] = link;
}

template <class T>
__global__ void __launch_bounds__(kWarp* kRowsPerBlock)
    scatter_rows(EmbeddingGradArgs<T> a, const int32_t* ids, const Link* links, bool aligned) {
  constexpr int kN = kGroup<T>;
  const int64_t token = row_of_warp(), c = (int64_t{blockIdx.y} * kWarp + threadIdx.x) * kN;
  if (token >= a.tokens || c >= a.cols || !links[token].first) return;
  float* row = a.dtable + ids[token] * a.cols + c;
  float sum[kN], dy[kN];
  load_values(row, a.cols - c, aligned, sum);
  for (int64_t t = token; t >= 0; t = links[t].next) {
    load_values(a.dy + t * a.cols + c, a.cols - c, aligned, dy);
#pragma unroll
    for (int k = 0; k < kN; ++k) sum[k] = __fadd_rn(sum[k], __fmul_rn(a.scale, dy[k]));
  }
  store_values(row, a.cols - c, aligned, sum);
}

template <class T>
void embedding_grad_impl(CudaStream& s, const EmbeddingGradArgs<T>& a) {
  if (a.tokens == 0 || a.cols == 0) return;
  Link* links = s.scratch<Link>(a.tokens);
  const RowGrid grid(a.tokens, 1);
  link_tokens<<<grid.blocks, grid.threads, 0, s.handle()>>>(a.tokens, a.ids.device, links);
  check_launch("embedding_grad");
  const bool aligned = aligned_rows(a.dy, a.cols) && aligned_rows(a.dtable, a.cols);
  const dim3 blocks(grid.blocks.x, static_cast<unsigned>(blocks_for(a.cols, kWarp * kGroup<T>)));
  scatter_rows<<<blocks, grid.threads, 0, s.handle()>>>(a, a.ids.device, links, aligned);
  check_launch("embedding_grad");
}

}  // namespace

void embedding(CudaStream& s, const EmbeddingArgs<float>& a) {
  embedding_impl(s, a);
}
void embedding(CudaStream& s, const EmbeddingArgs<BF16>& a) {
  embedding_impl(s, a);
}
void embedding(CudaStream& s, const EmbeddingArgs<F16>& a) {
  embedding_impl(s, a);
}
void embedding_grad(CudaStream& s, const EmbeddingGradArgs<float>& a) {
  embedding_grad_impl(s, a);
}
void embedding_grad(CudaStream& s, const EmbeddingGradArgs<BF16>& a) {
  embedding_grad_impl(s, a);
}
void embedding_grad(CudaStream& s, const EmbeddingGradArgs<F16>& a) {
  embedding_grad_impl(s, a);
}

}  // namespace ft
