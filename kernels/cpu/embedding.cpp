// Rows of a packed table and the gradient's way back. Neighbouring features of a row lie 16 elements apart in
// the packed layout, so both directions are one cache line a feature or two: plain loops, bound by memory.
//
// embedding_grad adds to dtable token by token in order; tasks are blocks of columns, so no two write one
// element.
#include "engine/ops/embedding.h"

#include "kernels/cpu/blocks.h"

namespace ft {
namespace {

template <class T>
T widen(double v) {
  return static_cast<T>(v);
}
template <class T, class S>
T widen(S v) {
  return static_cast<T>(to_float(v));
}

template <class T, class S>
void gather(CpuStream& stream, const EmbeddingArgs<T>& args) {
  const int64_t cols = args.table.cols;
  const auto* table = static_cast<const S*>(args.table.data);
  parallel_blocks(stream, args.tokens, rows_per_task(cols, kTaskElements / 2),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t t = begin; t < end; ++t) {
                      const S* row = table + packed_index(args.ids[t], 0, cols);
                      T* y = args.y + t * cols;
                      if (args.accumulate) {
                        for (int64_t k = 0; k < cols; ++k) y[k] += args.scale * widen<T>(row[k * kPanelRows]);
                      } else {
                        for (int64_t k = 0; k < cols; ++k) y[k] = args.scale * widen<T>(row[k * kPanelRows]);
                      }
                    }
                  });
}

template <class T>
void embedding_impl(CpuStream& stream, const EmbeddingArgs<T>& args) {
  switch (args.table.dtype) {
    case DType::f32:
      return gather<T, float>(stream, args);
    case DType::f64:
      return gather<T, double>(stream, args);
    case DType::bf16:
      return gather<T, BF16>(stream, args);
    case DType::f16:
      return gather<T, F16>(stream, args);
    default:
      fail("[embedding] expected a table of floating-point numbers, got {}", dtype_name(args.table.dtype));
  }
}

template <class T>
void embedding_grad_impl(CpuStream& stream, const EmbeddingGradArgs<T>& args) {
  parallel_blocks(stream, args.cols, kTaskColumns, [&](int64_t begin, int64_t end) {
    for (int64_t t = 0; t < args.tokens; ++t) {
      const T* dy = args.dy + t * args.cols;
      T* row = args.dtable + packed_index(args.ids[t], 0, args.cols);
      for (int64_t k = begin; k < end; ++k) row[k * kPanelRows] += args.scale * dy[k];
    }
  });
}

}  // namespace

void embedding(CpuStream& s, const EmbeddingArgs<float>& a) {
  embedding_impl(s, a);
}
void embedding(CpuStream& s, const EmbeddingArgs<double>& a) {
  embedding_impl(s, a);
}
void embedding_grad(CpuStream& s, const EmbeddingGradArgs<float>& a) {
  embedding_grad_impl(s, a);
}
void embedding_grad(CpuStream& s, const EmbeddingGradArgs<double>& a) {
  embedding_grad_impl(s, a);
}

}  // namespace ft
