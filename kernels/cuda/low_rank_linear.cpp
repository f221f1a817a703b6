// The plans of a linear map with low-rank terms on a CUDA device. A plan follows from types and shapes alone.
//   fused     one kernel for the product and its first term (lora_linear.cu): x is read by that kernel only,
//   y
//             written once; two launches, a second reading of x and a reading and writing of y are saved
//   composed  cuBLASLt for the product, the thin kernels beside it, with dropout inside them
// In backward dy W is cuBLASLt's; the thin kernels add du A to dx through the mask and read x through it.
#include "engine/ops/low_rank_linear.h"

#include "kernels/cuda/lora_linear.h"
#include "kernels/cuda/low_rank_mask.h"

namespace ft {
namespace {

/// Fused pays where launches and traffic decide, not arithmetic: the saved launches cost some 2 µs each, and
/// up to this many multiply-adds a product takes no longer (an H100: 1 µs in bfloat16 at its peak, 2 to 3 µs
/// in float32). Above, cuBLASLt's tiles, larger and fed by the copy engine, do the product in less than half
/// the time, which the thin kernels' traffic (a share of about 2/K + 1/N of the work) does not eat up.
template <class T>
constexpr int64_t kMostProducts = sizeof(T) == 2 ? int64_t{1} << 28 : int64_t{1} << 26;
/// A block walks along K alone, tile after tile; cuBLASLt cuts a long K among blocks.
constexpr int64_t kMostInputs = 1024;
/// What is padded to 64 ranks costs as much again as the product itself, 16 ranks a quarter.
constexpr int64_t kMostRank = 16;

template <class T>
bool is_fused(const LowRankLinearArgs<T>& a) {
  if (a.terms.empty()) return false;
  const LowRankTermArgs<T>& t = a.terms[0];
  // With dropout every block along N would have to draw the mask of all of x again.
  return t.dropout == 0 && t.end < 0 && t.rank <= kMostRank && a.w.dtype == dtype_of<T> &&
         a.w.cols <= kMostInputs && a.tokens * a.w.rows * a.w.cols <= kMostProducts<T>;
}

template <class T>
DropoutMask mask_of(const LowRankTermArgs<T>& t, IndexView row, IndexView position) {
  return {t.dropout, t.dropout_key, t.dropout_site, row.device, position.device};
}

template <class T>
void forward(CudaStream& s, const LowRankLinearArgs<T>& a) {
  const int64_t in = a.w.cols, out = a.w.rows;
  const bool fused = is_fused(a);
  if (fused) {
    const LowRankTermArgs<T>& t = a.terms[0];
    lora_linear(s, LoraLinearArgs<T>{.tokens = a.tokens,
                                     .outputs = out,
                                     .inputs = in,
                                     .rank = t.rank,
                                     .x = a.x,
                                     .ldx = in,
                                     .w = static_cast<const T*>(a.w.data),
                                     .bias = a.bias,
                                     .a = t.a,
                                     .bt = t.b_t,
                                     .scale = t.scale,
                                     .y = a.y,
                                     .ldy = out,
                                     .u = t.u});
  } else {
    matmul(s, MatmulArgs<T>{
                  .tokens = a.tokens, .w = a.w, .x = a.x, .ldx = in, .bias = a.bias, .y = a.y, .ldy = out});
  }
  for (const LowRankTermArgs<T>& t : a.terms.subspan(fused ? 1 : 0)) {
    const int64_t tokens = t.end < 0 ? a.tokens : t.end - t.begin;
    low_rank_down(s,
                  LowRankDownArgs<T>{.tokens = tokens,
                                     .rank = t.rank,
                                     .cols = in,
                                     .x = a.x + t.begin * in,
                                     .ldx = in,
                                     .w = t.a,
                                     .u = t.u},
                  mask_of(t, a.row, a.position));
    low_rank_up(s, LowRankUpArgs<T>{.tokens = tokens,
                                    .rank = t.rank,
                                    .cols = out,
                                    .u = t.u,
                                    .w = t.b_t,
                                    .scale = t.scale,
                                    .y = a.y + t.begin * out,
                                    .ldy = out});
  }
}

template <class T>
void backward(CudaStream& s, const LowRankLinearGradArgs<T>& a) {
  const int64_t tokens = a.segments.tokens(), in = a.w.cols, out = a.w.rows;
  if (a.dx)
    matmul_grad_input(s, MatmulGradInputArgs<T>{.tokens = tokens,
                                                .w = a.w,
                                                .dy = a.dy,
                                                .ldy = out,
                                                .dx = a.dx,
                                                .ldx = in,
                                                .accumulate = a.accumulate});
  for (const LowRankTermArgs<T>& t : a.terms) {
    const DropoutMask mask = mask_of(t, a.row, a.position);
    if (a.dx || t.da)
      low_rank_down(s, LowRankDownArgs<T>{.tokens = tokens,
                                          .rank = t.rank,
                                          .cols = out,
                                          .x = a.dy,
                                          .ldx = out,
                                          .w = t.b_t,
                                          .scale = t.scale,
                                          .u = t.du});
    if (t.da)
      low_rank_grad(
          s,
          LowRankGradArgs<T>{
              .segments = a.segments, .rank = t.rank, .cols = in, .u = t.du, .x = a.x, .ldx = in, .dw = t.da},
          mask);
    if (t.db_t)
      low_rank_grad(s, LowRankGradArgs<T>{.segments = a.segments,
                                          .rank = t.rank,
                                          .cols = out,
                                          .u = t.u,
                                          .x = a.dy,
                                          .ldx = out,
                                          .scale = t.scale,
                                          .dw = t.db_t});
    if (a.dx)
      low_rank_up(
          s,
          LowRankUpArgs<T>{
              .tokens = tokens, .rank = t.rank, .cols = in, .u = t.du, .w = t.a, .y = a.dx, .ldy = in},
          mask);
  }
}

}  // namespace

void low_rank_linear(CudaStream& s, const LowRankLinearArgs<float>& a) {
  forward(s, a);
}
void low_rank_linear(CudaStream& s, const LowRankLinearArgs<BF16>& a) {
  forward(s, a);
}
void low_rank_linear(CudaStream& s, const LowRankLinearArgs<F16>& a) {
  forward(s, a);
}
void low_rank_linear_grad(CudaStream& s, const LowRankLinearGradArgs<float>& a) {
  backward(s, a);
}
void low_rank_linear_grad(CudaStream& s, const LowRankLinearGradArgs<BF16>& a) {
  backward(s, a);
}
void low_rank_linear_grad(CudaStream& s, const LowRankLinearGradArgs<F16>& a) {
  backward(s, a);
}

}  // namespace ft
