// Rows times a factor each, and dot products of rows. A dot product is summed in double, element by element
// in order, so its bits depend on the row alone.
#include "engine/ops/row_scale.h"

#include "kernels/cpu/blocks.h"

namespace ft {
namespace {

template <class T>
void row_scale_impl(CpuStream& stream, const RowScaleArgs<T>& a) {
  parallel_blocks(stream, a.rows, rows_per_task(a.cols), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* x = a.x + row * a.cols;
      T* y = a.y + row * a.cols;
      const T s = a.scale[row];
      for (int64_t c = 0; c < a.cols; ++c) y[c] = a.accumulate ? y[c] + s * x[c] : s * x[c];
    }
  });
}

template <class T>
void row_dot_impl(CpuStream& stream, const RowDotArgs<T>& args) {
  parallel_blocks(stream, args.rows, rows_per_task(args.cols), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T *a = args.a + row * args.cols, *b = args.b + row * args.cols;
      double sum = 0;
      for (int64_t c = 0; c < args.cols; ++c) sum += static_cast<double>(a[c]) * static_cast<double>(b[c]);
      const T value = args.factor * static_cast<T>(sum);
      args.out[row] = args.accumulate ? args.out[row] + value : value;
    }
  });
}

}  // namespace

void row_scale(CpuStream& s, const RowScaleArgs<float>& a) {
  row_scale_impl(s, a);
}
void row_scale(CpuStream& s, const RowScaleArgs<double>& a) {
  row_scale_impl(s, a);
}
void row_dot(CpuStream& s, const RowDotArgs<float>& a) {
  row_dot_impl(s, a);
}
void row_dot(CpuStream& s, const RowDotArgs<double>& a) {
  row_dot_impl(s, a);
}

}  // namespace ft
