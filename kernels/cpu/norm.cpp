// RMSNorm and LayerNorm with the residual addition fused, and their gradients.
//
// Forward, a row stays in L1 between its passes: add and sum, (LayerNorm: squares of the distance from the
// mean,) scale. Memory sees one read of x and residual and one write of sum and y. Backward, with g =
// dy·(weight + offset) and x̂ = (h − mean)·rstd:
//   dh = rstd·(g − x̂·mean(g·x̂) − mean(g))      (the last term for LayerNorm only)
//   dweight += Σ dy·x̂,  dbias += Σ dy           per sample in order, tasks are blocks of columns
// Only rstd, mean and h are kept from forward; x̂ is recomputed.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/norm.cpp"
#include "engine/ops/norm.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>

#include "kernels/cpu/blocks.h"
#include "kernels/cpu/simd/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {

template <class T>
void norm_row(const NormArgs<T>& args, int64_t row) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const int64_t cols = args.cols;
  const T* h = args.x + row * cols;
  if (args.residual) {
    const T* r = args.residual + row * cols;
    T* sum = args.sum + row * cols;
    for_each(d, cols, [&](int64_t i, auto part) HWY_ATTR {
      store(d, hn::Add(load(d, h + i, part), load(d, r + i, part)), sum + i, part);
    });
    h = sum;
  }

  T mean = 0;
  if (args.center) {
    mean = sum_over(d, cols,
                    [&](V& s, int64_t i, auto part) HWY_ATTR { s = hn::Add(s, load(d, h + i, part)); }) /
           static_cast<T>(cols);
    args.mean[row] = mean;
  }
  const V vector_mean = hn::Set(d, mean);
  const T squares = sum_over(d, cols, [&](V& s, int64_t i, auto part) HWY_ATTR {
    const V c = keep(d, hn::Sub(load(d, h + i, part), vector_mean), part);
    s = hn::MulAdd(c, c, s);
  });
  const T rstd = T{1} / std::sqrt(squares / static_cast<T>(cols) + args.eps);
  args.rstd[row] = rstd;

  const V vector_rstd = hn::Set(d, rstd), offset = hn::Set(d, args.weight_offset);
  T* y = args.y + row * cols;
  for_each(d, cols, [&](int64_t i, auto part) HWY_ATTR {
    const V normed = hn::Mul(hn::Sub(load(d, h + i, part), vector_mean), vector_rstd);
    V v = hn::Mul(normed, hn::Add(load(d, args.weight + i, part), offset));
    if (args.bias) v = hn::Add(v, load(d, args.bias + i, part));
    store(d, v, y + i, part);
  });
}

template <class T>
void norm_impl(CpuStream& stream, const NormArgs<T>& args) {
  parallel_blocks(stream, args.rows, rows_per_task(args.cols), [&](int64_t begin, int64_t end) HWY_ATTR {
    for (int64_t row = begin; row < end; ++row) norm_row(args, row);
  });
}

template <class T>
void norm_grad_row(const NormGradArgs<T>& args, int64_t row) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const int64_t cols = args.cols;
  const T *dy = args.dy + row * cols, *h = args.h + row * cols;
  T* dh = args.dh + row * cols;
  const V mean = hn::Set(d, args.mean ? args.mean[row] : T{0});
  const V rstd = hn::Set(d, args.rstd[row]), offset = hn::Set(d, args.weight_offset);

  T sum_g, sum_gx;
  sum_two_over(d, cols, sum_g, sum_gx, [&](V& a, V& b, int64_t i, auto part) HWY_ATTR {
    const V g = hn::Mul(load(d, dy + i, part), hn::Add(load(d, args.weight + i, part), offset));
    const V normed = hn::Mul(hn::Sub(load(d, h + i, part), mean), rstd);
    a = hn::Add(a, g);
    b = hn::MulAdd(g, normed, b);
  });
  const V mean_g = hn::Set(d, args.mean ? sum_g / static_cast<T>(cols) : T{0});
  const V mean_gx = hn::Set(d, sum_gx / static_cast<T>(cols));
  for_each(d, cols, [&](int64_t i, auto part) HWY_ATTR {
    const V g = hn::Mul(load(d, dy + i, part), hn::Add(load(d, args.weight + i, part), offset));
    const V normed = hn::Mul(hn::Sub(load(d, h + i, part), mean), rstd);
    V v = hn::Mul(rstd, hn::NegMulAdd(normed, mean_gx, hn::Sub(g, mean_g)));
    if (args.accumulate) v = hn::Add(load(d, dh + i, part), v);
    store(d, v, dh + i, part);
  });
}

/// dweight and dbias of columns [begin, begin + cols), all samples.
template <class T>
void norm_grad_columns(const NormGradArgs<T>& args, int64_t begin, int64_t cols) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  HWY_ALIGN T weight_sum[kTaskColumns];
  HWY_ALIGN T bias_sum[kTaskColumns];
  const auto add_to = [&](T* out, const T* sum) HWY_ATTR {
    if (!out) return;
    for_each(d, cols, [&](int64_t i, auto part) HWY_ATTR {
      store(d, hn::Add(load(d, out + begin + i, part), load(d, sum + i, part)), out + begin + i, part);
    });
  };
  for (int32_t s = 0; s < args.segments.count; ++s) {
    std::fill_n(weight_sum, cols, T{0});
    std::fill_n(bias_sum, cols, T{0});
    const int64_t last = args.segments.bounds[s + 1] * args.rows_per_token;
    for (int64_t row = args.segments.bounds[s] * args.rows_per_token; row < last; ++row) {
      const T *dy = args.dy + row * args.cols + begin, *h = args.h + row * args.cols + begin;
      const V mean = hn::Set(d, args.mean ? args.mean[row] : T{0}), rstd = hn::Set(d, args.rstd[row]);
      if (args.dweight)
        for_each(d, cols, [&](int64_t i, auto part) HWY_ATTR {
          const V v = load(d, dy + i, part);
          const V normed = hn::Mul(hn::Sub(load(d, h + i, part), mean), rstd);
          store(d, hn::MulAdd(v, normed, load(d, weight_sum + i, part)), weight_sum + i, part);
        });
      if (args.dbias)
        for_each(d, cols, [&](int64_t i, auto part) HWY_ATTR {
          store(d, hn::Add(load(d, bias_sum + i, part), load(d, dy + i, part)), bias_sum + i, part);
        });
    }
    add_to(args.dweight, weight_sum);
    add_to(args.dbias, bias_sum);
  }
}

template <class T>
void norm_grad_impl(CpuStream& stream, const NormGradArgs<T>& args) {
  const int64_t rows = args.segments.tokens() * args.rows_per_token;
  // The sums over columns come first: dh may be the buffer of dy.
  if (args.dweight || args.dbias) {
    parallel_blocks(stream, args.cols, kTaskColumns, [&](int64_t begin, int64_t end) HWY_ATTR {
      norm_grad_columns(args, begin, end - begin);
    });
  }
  if (args.dh) {
    parallel_blocks(stream, rows, rows_per_task(args.cols), [&](int64_t begin, int64_t end) HWY_ATTR {
      for (int64_t row = begin; row < end; ++row) norm_grad_row(args, row);
    });
  }
}

void norm_f32(CpuStream& s, const NormArgs<float>& a) {
  norm_impl(s, a);
}
void norm_f64(CpuStream& s, const NormArgs<double>& a) {
  norm_impl(s, a);
}
void norm_grad_f32(CpuStream& s, const NormGradArgs<float>& a) {
  norm_grad_impl(s, a);
}
void norm_grad_f64(CpuStream& s, const NormGradArgs<double>& a) {
  norm_grad_impl(s, a);
}

}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ft {

HWY_EXPORT(norm_f32);
HWY_EXPORT(norm_f64);
HWY_EXPORT(norm_grad_f32);
HWY_EXPORT(norm_grad_f64);

void norm(CpuStream& s, const NormArgs<float>& a) {
  HWY_DYNAMIC_DISPATCH(norm_f32)(s, a);
}
void norm(CpuStream& s, const NormArgs<double>& a) {
  HWY_DYNAMIC_DISPATCH(norm_f64)(s, a);
}
void norm_grad(CpuStream& s, const NormGradArgs<float>& a) {
  HWY_DYNAMIC_DISPATCH(norm_grad_f32)(s, a);
}
void norm_grad(CpuStream& s, const NormGradArgs<double>& a) {
  HWY_DYNAMIC_DISPATCH(norm_grad_f64)(s, a);
}

}  // namespace ft
#endif
