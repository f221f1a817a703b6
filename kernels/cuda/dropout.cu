// Dropout with counter-based bits: a thread makes the random words of its 16 bytes of a token's features and
// applies them. Nothing is saved for backward, the mask is made again: some 40 instructions of PTX an
// element, near what the memory of a bfloat16 element takes. What is kept, and float32's bits, are the CPU's.
#include "engine/ops/elementwise.h"
#include "kernels/cuda/pack.cuh"
#include "kernels/cuda/philox.cuh"
#include "kernels/cuda/row_grid.cuh"

namespace ft {
namespace {

template <class T>
struct Tokens {
  const T* x;
  T* y;
  int64_t count, cols;
  const int32_t *row, *position;
  uint64_t key;
  uint32_t site;
  DropoutRule rule;
  bool accumulate, aligned;
};

template <class T>
__global__ void __launch_bounds__(kWarp* kRowsPerBlock) dropout_kernel(Tokens<T> tokens) {
  constexpr int kN = kGroup<T>;
  const int64_t token = row_of_warp();
  if (token >= tokens.count) return;
  const auto row = static_cast<uint32_t>(tokens.row[token]),
             position = static_cast<uint32_t>(tokens.position[token]);
  for_each_group((tokens.cols + kN - 1) / kN, [&](int64_t group) {
    const int64_t column = group * kN, at = token * tokens.cols + column, left = tokens.cols - column;
    float v[kN], old[kN] = {};
    load_values(tokens.x + at, left, tokens.aligned, v);
    if (tokens.accumulate) load_values(tokens.y + at, left, tokens.aligned, old);
#pragma unroll
    for (int k = 0; k < kN; k += 4) {
      const uint4 words =
          dropout_words(tokens.key, tokens.site, row, position, static_cast<uint32_t>((column + k) / 4));
      const uint32_t word[] = {words.x, words.y, words.z, words.w};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float kept = tokens.rule.keeps(word[i]) ? __fmul_rn(tokens.rule.factor, v[k + i]) : 0.0f;
        v[k + i] = tokens.accumulate ? __fadd_rn(old[k + i], kept) : kept;
      }
    }
    store_values(tokens.y + at, left, tokens.aligned, v);
  });
}

template <class T>
void dropout_impl(CudaStream& s, const DropoutArgs<T>& a) {
  if (a.tokens == 0 || a.cols == 0) return;
  const Tokens<T> tokens{a.x,
                         a.y,
                         a.tokens,
                         a.cols,
                         a.row.device,
                         a.position.device,
                         a.key,
                         a.site,
                         dropout_rule(a.p),
                         a.accumulate,
                         aligned_rows(a.x, a.cols) && aligned_rows(a.y, a.cols)};
  const RowGrid grid(a.tokens, blocks_for(a.cols, kGroup<T>));
  dropout_kernel<<<grid.blocks, grid.threads, 0, s.handle()>>>(tokens);
  check_launch("dropout");
}

}  // namespace

void dropout(CudaStream& s, const DropoutArgs<float>& a) {
  dropout_impl(s, a);
}
void dropout(CudaStream& s, const DropoutArgs<BF16>& a) {
  dropout_impl(s, a);
}
void dropout(CudaStream& s, const DropoutArgs<F16>& a) {
  dropout_impl(s, a);
}

}  // namespace ft
