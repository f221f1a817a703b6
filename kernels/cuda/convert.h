// Rows copied from one storage type to another on the device.
#pragma once

#include <cstdint>

#include "engine/core/backend_streams.h"

namespace ft {

/// A matrix in device memory: `rows` rows of `cols` elements, `ld` elements apart.
struct ConvertRowsArgs {
  int64_t rows = 0, cols = 0;
  DType from = DType::f32;  // f32, bf16 or f16
  const void* x = nullptr;
  int64_t ldx = 0;
  DType to = DType::f32;  // f32, bf16 or f16; rounded to nearest, ties to even
  void* y = nullptr;      // does not overlap x
  int64_t ldy = 0;
};

/// y = x in another type, row by row.
void convert_rows(CudaStream& s, const ConvertRowsArgs& a);

}  // namespace ft
