// Plain rows <-> the packed layout of matmul.h. Memory-bound: each element is read once and written once; rows are
// taken a panel at a time so that whole cache lines of the packed copy are filled.
#include <cstring>

#include "engine/ops/matmul.h"

namespace ft {
namespace {

template <class S>
S narrow(float v) {
  if constexpr (std::is_same_v<S, BF16>) return to_bf16(v);
  else if constexpr (std::is_same_v<S, F16>) return to_f16(v);
  else return static_cast<S>(v);
}
float widen(double v) { return static_cast<float>(v); }
template <class S>
float widen(S v) {
  return to_float(v);
}

template <class F>
void dispatch_storage(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32: return f(float{});
    case DType::f64: return f(double{});
    case DType::bf16: return f(BF16{});
    case DType::f16: return f(F16{});
    default: fail("[matmul] expected weights of a float type, got {}", dtype_name(dtype));
  }
}

void check_rows(int64_t rows, int64_t row, int64_t count) {
  FT_CHECK(row >= 0 && count >= 0 && row <= rows - count, "[pack] expected rows within [0, {}), got [{}, {})", rows, row,
           row + count);
}

/// f(first row, lane of the first row, rows) for each panel that [row, row + count) touches.
template <class F>
void each_panel(int64_t row, int64_t count, F&& f) {
  for (int64_t n = row; n < row + count;) {
    const int64_t lane = n % kPanelRows, rows = std::min(kPanelRows - lane, row + count - n);
    f(n, lane, rows);
    n += rows;
  }
}

}  // namespace

void pack_rows(DType dtype, int64_t rows, int64_t cols, void* data, int64_t row, int64_t count, const float* source,
               int64_t ld) {
  check_rows(rows, row, count);
  dispatch_storage(dtype, [&]<class S>(S) {
    each_panel(row, count, [&](int64_t n, int64_t lane, int64_t in_panel) {
      const float* from = source + (n - row) * ld;
      S* to = static_cast<S*>(data) + packed_index(n - lane, 0, cols) + lane;
      for (int64_t k = 0; k < cols; ++k) {
        for (int64_t i = 0; i < in_panel; ++i) to[k * kPanelRows + i] = narrow<S>(from[i * ld + k]);
      }
    });
  });
}

void unpack_rows(const PackedView& w, int64_t row, int64_t count, float* out, int64_t ld) {
  check_rows(w.rows, row, count);
  dispatch_storage(w.dtype, [&]<class S>(S) {
    each_panel(row, count, [&](int64_t n, int64_t lane, int64_t in_panel) {
      const S* from = static_cast<const S*>(w.data) + packed_index(n - lane, 0, w.cols) + lane;
      float* to = out + (n - row) * ld;
      for (int64_t i = 0; i < in_panel; ++i) {
        for (int64_t k = 0; k < w.cols; ++k) to[i * ld + k] = widen(from[k * kPanelRows + i]);
      }
    });
  });
}

}  // namespace ft
