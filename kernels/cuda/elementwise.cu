// Sums and scalings of whole buffers, and column sums (column_sum.cuh). Each product and sum is rounded by
// itself, so float32 has the CPU's bits for add and scale.
#include "engine/ops/elementwise.h"

#include "kernels/cuda/column_sum.cuh"
#include "kernels/cuda/pointwise.cuh"

namespace ft {
namespace {

struct Add {
  __device__ __forceinline__ void operator()(const float (&x)[2], float (&y)[1]) const {
    y[0] = __fadd_rn(x[0], x[1]);
  }
};

struct Scale {
  float factor;
  __device__ __forceinline__ void operator()(const float (&x)[1], float (&y)[1]) const {
    y[0] = __fmul_rn(factor, x[0]);
  }
};

/// The elements of x themselves.
template <class T>
struct Elements {
  const T* x;
  int64_t ld, cols;
  bool aligned;
  __device__ __forceinline__ void operator()(int64_t row, int64_t column, float (&v)[1][kGroup<T>]) const {
    load_values(x + row * ld + column, cols - column, aligned, v[0]);
  }
};

template <class T>
void column_sum_impl(CudaStream& s, const ColumnSumArgs<T>& a) {
  add_column_sums<T>(s, "column_sum", a.segments, 1, a.cols,
                     Elements<T>{a.x, a.ld, a.cols, aligned_rows(a.x, a.ld)}, ColumnOutputs<1>{{a.out}});
}

}  // namespace

void add(CudaStream& s, const AddArgs<float>& a) {
  pointwise<float, 2, 1>(s, "add", a.count, {{a.a, a.b}, {a.y}}, Add());
}
void add(CudaStream& s, const AddArgs<BF16>& a) {
  pointwise<BF16, 2, 1>(s, "add", a.count, {{a.a, a.b}, {a.y}}, Add());
}
void add(CudaStream& s, const AddArgs<F16>& a) {
  pointwise<F16, 2, 1>(s, "add", a.count, {{a.a, a.b}, {a.y}}, Add());
}
void scale(CudaStream& s, const ScaleArgs<float>& a) {
  pointwise<float, 1, 1>(s, "scale", a.count, {{a.x}, {a.y}}, Scale{a.scale});
}
void scale(CudaStream& s, const ScaleArgs<BF16>& a) {
  pointwise<BF16, 1, 1>(s, "scale", a.count, {{a.x}, {a.y}}, Scale{a.scale});
}
void scale(CudaStream& s, const ScaleArgs<F16>& a) {
  pointwise<F16, 1, 1>(s, "scale", a.count, {{a.x}, {a.y}}, Scale{a.scale});
}
void column_sum(CudaStream& s, const ColumnSumArgs<float>& a) {
  column_sum_impl(s, a);
}
void column_sum(CudaStream& s, const ColumnSumArgs<BF16>& a) {
  column_sum_impl(s, a);
}
void column_sum(CudaStream& s, const ColumnSumArgs<F16>& a) {
  column_sum_impl(s, a);
}

}  // namespace ft
