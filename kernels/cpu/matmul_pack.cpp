// Plain float32 rows <-> the packed layout of matmul.h. Whole panels are turned around in blocks that stay in
// L1 and narrowed or widened there, so that packing costs little more than reading and writing memory once;
// rows of a panel that is not given whole go element by element. Rounding is to nearest, ties to even, the
// same on every target.
#include <cstring>

#include "engine/ops/matmul.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/matmul_pack.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/simd/matrix_transpose-inl.h"
#include "kernels/cpu/simd/widen-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {
namespace {

constexpr int64_t kBlock = 64;  // columns: 64 × 16 floats are 4 KB

template <class S>
HWY_INLINE void narrow_block(const float* HWY_RESTRICT from, int64_t count, S* HWY_RESTRICT to) {
  if constexpr (std::is_same_v<S, BF16>) {
    for (int64_t i = 0; i < count; ++i) {  // to_bf16, without a branch
      const uint32_t u = std::bit_cast<uint32_t>(from[i]);
      const uint32_t rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16, quiet = (u >> 16) | 0x40;
      to[i].bits = static_cast<uint16_t>((u & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
    }
  } else if constexpr (std::is_same_v<S, F16>) {
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_SSSE3 || HWY_TARGET == HWY_SSE4
    for (int64_t i = 0; i < count; ++i) to[i] = to_f16(from[i]);
#else
    const hn::CappedTag<float, 16> d;
    const hn::Rebind<hwy::float16_t, decltype(d)> dh;
    for (int64_t i = 0; i < count; i += static_cast<int64_t>(hn::Lanes(d))) {
      hn::StoreU(hn::DemoteTo(dh, hn::LoadU(d, from + i)), dh, reinterpret_cast<hwy::float16_t*>(to + i));
    }
#endif
  } else {
    for (int64_t i = 0; i < count; ++i) to[i] = static_cast<S>(from[i]);
  }
}

template <class S>
HWY_INLINE void widen_block(const S* HWY_RESTRICT from, int64_t count, float* HWY_RESTRICT to) {
  if constexpr (std::is_same_v<S, double>) {
    for (int64_t i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]);
  } else {
    widen(from, count, to);
  }
}

/// One whole panel: 16 rows of `rows`, `cols` columns.
template <class S>
void pack_panel(const float* rows, int64_t ld, int64_t cols, S* panel) {
  HWY_ALIGN float block[kBlock * kPanelRows];
  for (int64_t k = 0; k < cols; k += kBlock) {
    const int64_t count = std::min(kBlock, cols - k);
    if constexpr (std::is_same_v<S, float>) {
      transpose<false>(rows + k, ld, kPanelRows, count, panel + k * kPanelRows, kPanelRows);
    } else {
      transpose<false>(rows + k, ld, kPanelRows, count, block, kPanelRows);
      narrow_block(block, count * kPanelRows, panel + k * kPanelRows);
    }
  }
}

template <class S>
void unpack_panel(const S* panel, int64_t cols, float* rows, int64_t ld) {
  HWY_ALIGN float block[kBlock * kPanelRows];
  for (int64_t k = 0; k < cols; k += kBlock) {
    const int64_t count = std::min(kBlock, cols - k);
    widen_block(panel + k * kPanelRows, count * kPanelRows, block);
    transpose<false>(block, kPanelRows, count, kPanelRows, rows + k, ld);
  }
}

template <class S>
HWY_INLINE S narrow_one(float v) {
  if constexpr (std::is_same_v<S, BF16>)
    return to_bf16(v);
  else if constexpr (std::is_same_v<S, F16>)
    return to_f16(v);
  else
    return static_cast<S>(v);
}
template <class S>
HWY_INLINE float widen_one(S v) {
  if constexpr (std::is_same_v<S, double>)
    return static_cast<float>(v);
  else
    return to_float(v);
}

template <class S>
void pack_as(int64_t cols, S* data, int64_t row, int64_t count, const float* source, int64_t ld) {
  for (int64_t n = row; n < row + count;) {
    const int64_t lane = n % kPanelRows, rows = std::min(kPanelRows - lane, row + count - n);
    S* to = data + packed_index(n, 0, cols);
    const float* from = source + (n - row) * ld;
    if (rows == kPanelRows) {
      pack_panel(from, ld, cols, to);
    } else {
      for (int64_t k = 0; k < cols; ++k) {
        for (int64_t i = 0; i < rows; ++i) to[k * kPanelRows + i] = narrow_one<S>(from[i * ld + k]);
      }
    }
    n += rows;
  }
}

template <class S>
void unpack_as(int64_t cols, const S* data, int64_t row, int64_t count, float* out, int64_t ld) {
  for (int64_t n = row; n < row + count;) {
    const int64_t lane = n % kPanelRows, rows = std::min(kPanelRows - lane, row + count - n);
    const S* from = data + packed_index(n, 0, cols);
    float* to = out + (n - row) * ld;
    if (rows == kPanelRows) {
      unpack_panel(from, cols, to, ld);
    } else {
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t k = 0; k < cols; ++k) to[i * ld + k] = widen_one(from[k * kPanelRows + i]);
      }
    }
    n += rows;
  }
}

void pack(DType dtype, int64_t cols, void* data, int64_t row, int64_t count, const float* source,
          int64_t ld) {
  switch (dtype) {
    case DType::f32:
      return pack_as(cols, static_cast<float*>(data), row, count, source, ld);
    case DType::f64:
      return pack_as(cols, static_cast<double*>(data), row, count, source, ld);
    case DType::bf16:
      return pack_as(cols, static_cast<BF16*>(data), row, count, source, ld);
    case DType::f16:
      return pack_as(cols, static_cast<F16*>(data), row, count, source, ld);
    default:
      fail("[pack_rows] expected a float type, got {}", dtype_name(dtype));
  }
}

void unpack(const PackedView& w, int64_t row, int64_t count, float* out, int64_t ld) {
  switch (w.dtype) {
    case DType::f32:
      return unpack_as(w.cols, static_cast<const float*>(w.data), row, count, out, ld);
    case DType::f64:
      return unpack_as(w.cols, static_cast<const double*>(w.data), row, count, out, ld);
    case DType::bf16:
      return unpack_as(w.cols, static_cast<const BF16*>(w.data), row, count, out, ld);
    case DType::f16:
      return unpack_as(w.cols, static_cast<const F16*>(w.data), row, count, out, ld);
    default:
      fail("[unpack_rows] expected a float type, got {}", dtype_name(w.dtype));
  }
}

}  // namespace
}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ft {
namespace {

HWY_EXPORT(pack);
HWY_EXPORT(unpack);

void check(const char* op, int64_t rows, int64_t cols, int64_t row, int64_t count, int64_t ld) {
  FT_CHECK(row >= 0 && count >= 0 && row <= rows - count, "[{}] expected rows within [0, {}), got [{}, {})",
           op, rows, row, row + count);
  FT_CHECK(count == 0 || ld >= cols, "[{}] expected a stride of at least {}, got {}", op, cols, ld);
}

}  // namespace

void pack_rows(DType dtype, int64_t rows, int64_t cols, void* data, int64_t row, int64_t count,
               const float* source, int64_t ld) {
  check("pack_rows", rows, cols, row, count, ld);
  HWY_DYNAMIC_DISPATCH(pack)(dtype, cols, data, row, count, source, ld);
}

void unpack_rows(const PackedView& w, int64_t row, int64_t count, float* out, int64_t ld) {
  check("unpack_rows", w.rows, w.cols, row, count, ld);
  HWY_DYNAMIC_DISPATCH(unpack)(w, row, count, out, ld);
}

}  // namespace ft
#endif
