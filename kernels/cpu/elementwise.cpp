// Sums and scalings of whole buffers (one read and one write an element: bound by memory) and column sums.
//
// column_sum adds to `out`, sample by sample in order; each sample's sum is formed by itself first, row by
// row, so the bits do not depend on how samples are grouped into calls. Tasks are blocks of columns.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elementwise.cpp"
#include "engine/ops/elementwise.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "kernels/cpu/blocks.h"
#include "kernels/cpu/simd/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {

template <class T>
void add_impl(CpuStream& stream, const AddArgs<T>& args) {
  parallel_blocks(stream, args.count, kTaskElements, [&](int64_t begin, int64_t end) HWY_ATTR {
    const hn::ScalableTag<T> d;
    const T *a = args.a + begin, *b = args.b + begin;
    T* y = args.y + begin;
    for_each(d, end - begin, [&](int64_t i, auto part) HWY_ATTR {
      store(d, hn::Add(load(d, a + i, part), load(d, b + i, part)), y + i, part);
    });
  });
}

template <class T>
void scale_impl(CpuStream& stream, const ScaleArgs<T>& args) {
  parallel_blocks(stream, args.count, kTaskElements, [&](int64_t begin, int64_t end) HWY_ATTR {
    const hn::ScalableTag<T> d;
    const auto factor = hn::Set(d, args.scale);
    const T* x = args.x + begin;
    T* y = args.y + begin;
    for_each(d, end - begin, [&](int64_t i, auto part) HWY_ATTR {
      store(d, hn::Mul(factor, load(d, x + i, part)), y + i, part);
    });
  });
}

template <class T>
void column_sum_impl(CpuStream& stream, const ColumnSumArgs<T>& args) {
  parallel_blocks(stream, args.cols, kTaskColumns, [&](int64_t begin, int64_t end) HWY_ATTR {
    const hn::ScalableTag<T> d;
    HWY_ALIGN T sum[kTaskColumns];
    const int64_t cols = end - begin;
    for (int32_t s = 0; s < args.segments.count; ++s) {
      std::fill_n(sum, cols, T{0});
      for (int64_t row = args.segments.bounds[s]; row < args.segments.bounds[s + 1]; ++row) {
        const T* x = args.x + row * args.ld + begin;
        for_each(d, cols, [&](int64_t i, auto part) HWY_ATTR {
          store(d, hn::Add(load(d, sum + i, part), load(d, x + i, part)), sum + i, part);
        });
      }
      T* out = args.out + begin;
      for_each(d, cols, [&](int64_t i, auto part) HWY_ATTR {
        store(d, hn::Add(load(d, out + i, part), load(d, sum + i, part)), out + i, part);
      });
    }
  });
}

void add_f32(CpuStream& s, const AddArgs<float>& a) {
  add_impl(s, a);
}
void add_f64(CpuStream& s, const AddArgs<double>& a) {
  add_impl(s, a);
}
void scale_f32(CpuStream& s, const ScaleArgs<float>& a) {
  scale_impl(s, a);
}
void scale_f64(CpuStream& s, const ScaleArgs<double>& a) {
  scale_impl(s, a);
}
void column_sum_f32(CpuStream& s, const ColumnSumArgs<float>& a) {
  column_sum_impl(s, a);
}
void column_sum_f64(CpuStream& s, const ColumnSumArgs<double>& a) {
  column_sum_impl(s, a);
}

}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ft {

HWY_EXPORT(add_f32);
HWY_EXPORT(add_f64);
HWY_EXPORT(scale_f32);
HWY_EXPORT(scale_f64);
HWY_EXPORT(column_sum_f32);
HWY_EXPORT(column_sum_f64);

void add(CpuStream& s, const AddArgs<float>& a) {
  HWY_DYNAMIC_DISPATCH(add_f32)(s, a);
}
void add(CpuStream& s, const AddArgs<double>& a) {
  HWY_DYNAMIC_DISPATCH(add_f64)(s, a);
}
void scale(CpuStream& s, const ScaleArgs<float>& a) {
  HWY_DYNAMIC_DISPATCH(scale_f32)(s, a);
}
void scale(CpuStream& s, const ScaleArgs<double>& a) {
  HWY_DYNAMIC_DISPATCH(scale_f64)(s, a);
}
void column_sum(CpuStream& s, const ColumnSumArgs<float>& a) {
  HWY_DYNAMIC_DISPATCH(column_sum_f32)(s, a);
}
void column_sum(CpuStream& s, const ColumnSumArgs<double>& a) {
  HWY_DYNAMIC_DISPATCH(column_sum_f64)(s, a);
}

}  // namespace ft
#endif
