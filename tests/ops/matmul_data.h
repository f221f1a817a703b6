// Operands of one matmul case, seeded, with guard columns between the rows.
#pragma once

#include <cstddef>
#include <vector>

#include "tests/ops/matmul_cases.h"
#include "tests/ops/matmul_oracle.h"
#include "tests/ops/op_test.h"

namespace ft::test {

struct PackedWeight {
  std::vector<std::byte> bytes;
  PackedView view;
};

/// W [N, K] of standard normals, rounded to `dtype`.
inline PackedWeight packed_weight(DType dtype, int64_t rows, int64_t cols, std::string_view name = "w") {
  PackedWeight w;
  const auto count = static_cast<size_t>(packed_elements(rows, cols));
  w.bytes.assign(count * size_of(dtype), std::byte{0});
  w.view = {dtype, rows, cols, w.bytes.data()};
  const std::vector<float> plain = random_vector<float>(rows * cols, name);
  pack_rows(dtype, rows, cols, w.bytes.data(), 0, rows, plain.data(), cols);
  return w;
}

template <class T>
struct MatmulData {
  MatmulCase c;
  PackedWeight w;
  int64_t ldx, ldy;
  std::vector<T> x, y, bias;  // [T, ldx], [T, ldy], [N]

  MatmulData(const MatmulCase& c_, DType dtype)
      : c(c_),
        w(packed_weight(dtype, c.outputs, c.inputs)),
        ldx(c.inputs + c.pad),
        ldy(c.outputs + c.pad),
        x(random_vector<T>(c.tokens * ldx, "x")),
        y(random_vector<T>(c.tokens * ldy, "y")),
        bias(random_vector<T>(c.outputs, "bias")) {}

  /// Forward: reads x, writes y.
  MatmulArgs<T> forward() {
    return {c.tokens, w.view, x.data(), ldx, c.bias ? bias.data() : nullptr, y.data(), ldy, c.accumulate};
  }
  /// Backward towards x: reads y as the gradient, writes x.
  MatmulGradInputArgs<T> grad_input() {
    return {c.tokens, w.view, y.data(), ldy, x.data(), ldx, c.accumulate};
  }
};

}  // namespace ft::test
