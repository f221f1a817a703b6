// Columns times a factor each, and the gradients: pointwise passes over rows, bound by memory, and one sum a
// column.
//
// dscale is summed sample by sample in order, each sample's sum row by row by itself first; tasks are blocks
// of columns. Every product and sum is rounded by itself except the accumulations dx += dy·l and Σ dy·x and
// the pivot's addition, which are fused multiply-adds. So bits depend on the samples alone, not on how they
// are grouped into calls.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/column_scale.cpp"
#include "engine/ops/column_scale.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "kernels/cpu/blocks.h"
#include "kernels/cpu/simd/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {

template <class T>
void column_scale_impl(CpuStream& stream, const ColumnScaleArgs<T>& args) {
  parallel_blocks(stream, args.rows, rows_per_task(args.cols), [&](int64_t begin, int64_t end) HWY_ATTR {
    const hn::ScalableTag<T> d;
    for (int64_t row = begin; row < end; ++row) {
      const T* x = args.x + row * args.cols;
      T* y = args.y + row * args.cols;
      for_each(d, args.cols, [&](int64_t i, auto part) HWY_ATTR {
        const auto v = load(d, x + i, part), l = load(d, args.scale + i, part);
        if (args.pivot) {
          const auto p = load(d, args.pivot + i, part);
          store(d, hn::Add(hn::Mul(hn::Sub(v, p), l), p), y + i, part);
        } else {
          store(d, hn::Mul(v, l), y + i, part);
        }
      });
    }
  });
}

/// dscale of columns [begin, begin + cols), all samples.
template <class T>
void column_scale_grad_columns(const ColumnScaleGradArgs<T>& args, int64_t begin, int64_t cols) {
  const hn::ScalableTag<T> d;
  HWY_ALIGN T sum[kTaskColumns];
  T* out = args.dscale + begin;
  for (int32_t s = 0; s < args.segments.count; ++s) {
    std::fill_n(sum, cols, T{0});
    for (int64_t row = args.segments.bounds[s]; row < args.segments.bounds[s + 1]; ++row) {
      const T *dy = args.dy + row * args.cols + begin, *x = args.x + row * args.cols + begin;
      for_each(d, cols, [&](int64_t i, auto part) HWY_ATTR {
        auto v = load(d, x + i, part);
        if (args.pivot) v = hn::Sub(v, load(d, args.pivot + begin + i, part));
        store(d, hn::MulAdd(load(d, dy + i, part), v, load(d, sum + i, part)), sum + i, part);
      });
    }
    for_each(d, cols, [&](int64_t i, auto part) HWY_ATTR {
      store(d, hn::Add(load(d, out + i, part), load(d, sum + i, part)), out + i, part);
    });
  }
}

template <class T>
void column_scale_grad_impl(CpuStream& stream, const ColumnScaleGradArgs<T>& args) {
  // The sums over columns come first: dx may be the buffer of dy.
  if (args.dscale)
    parallel_blocks(stream, args.cols, kTaskColumns, [&](int64_t begin, int64_t end) HWY_ATTR {
      column_scale_grad_columns(args, begin, end - begin);
    });
  if (!args.dx) return;
  const int64_t rows = args.segments.tokens();
  parallel_blocks(stream, rows, rows_per_task(args.cols), [&](int64_t begin, int64_t end) HWY_ATTR {
    const hn::ScalableTag<T> d;
    for (int64_t row = begin; row < end; ++row) {
      const T* dy = args.dy + row * args.cols;
      T* dx = args.dx + row * args.cols;
      for_each(d, args.cols, [&](int64_t i, auto part) HWY_ATTR {
        const auto g = load(d, dy + i, part), l = load(d, args.scale + i, part);
        store(d, args.accumulate ? hn::MulAdd(g, l, load(d, dx + i, part)) : hn::Mul(g, l), dx + i, part);
      });
    }
  });
}

void column_scale_f32(CpuStream& s, const ColumnScaleArgs<float>& a) {
  column_scale_impl(s, a);
}
void column_scale_f64(CpuStream& s, const ColumnScaleArgs<double>& a) {
  column_scale_impl(s, a);
}
void column_scale_grad_f32(CpuStream& s, const ColumnScaleGradArgs<float>& a) {
  column_scale_grad_impl(s, a);
}
void column_scale_grad_f64(CpuStream& s, const ColumnScaleGradArgs<double>& a) {
  column_scale_grad_impl(s, a);
}

}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ft {

HWY_EXPORT(column_scale_f32);
HWY_EXPORT(column_scale_f64);
HWY_EXPORT(column_scale_grad_f32);
HWY_EXPORT(column_scale_grad_f64);

void column_scale(CpuStream& s, const ColumnScaleArgs<float>& a) {
  HWY_DYNAMIC_DISPATCH(column_scale_f32)(s, a);
}
void column_scale(CpuStream& s, const ColumnScaleArgs<double>& a) {
  HWY_DYNAMIC_DISPATCH(column_scale_f64)(s, a);
}
void column_scale_grad(CpuStream& s, const ColumnScaleGradArgs<float>& a) {
  HWY_DYNAMIC_DISPATCH(column_scale_grad_f32)(s, a);
}
void column_scale_grad(CpuStream& s, const ColumnScaleGradArgs<double>& a) {
  HWY_DYNAMIC_DISPATCH(column_scale_grad_f64)(s, a);
}

}  // namespace ft
#endif
