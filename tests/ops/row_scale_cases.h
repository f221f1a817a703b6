// Shapes for rows times factors and products of rows, and both as plain loops.
#pragma once

#include <string>
#include <vector>

#include "engine/ops/row_scale.h"

namespace ft::test {

struct RowScaleCase {
  std::string name;
  int64_t rows = 0, cols = 0;
  bool accumulate = false;
};

inline const std::vector<RowScaleCase>& row_scale_cases() {
  static const std::vector<RowScaleCase> cases = {{"one", 1, 1, false},
                                                  {"a_column", 37, 1, true},
                                                  {"odd", 5, 131, true},
                                                  {"rank_of_a_model", 12, 576, false},
                                                  {"wide", 9, 1537, true}};
  return cases;
}

template <class T>
void row_scale_oracle(const RowScaleArgs<T>& a) {
  for (int64_t i = 0; i < a.rows * a.cols; ++i) {
    const T v = a.scale[i / a.cols] * a.x[i];
    a.y[i] = a.accumulate ? a.y[i] + v : v;
  }
}

template <class T>
void row_dot_oracle(const RowDotArgs<T>& a) {
  for (int64_t row = 0; row < a.rows; ++row) {
    T sum = 0;
    for (int64_t c = row * a.cols; c < (row + 1) * a.cols; ++c) sum += a.a[c] * a.b[c];
    a.out[row] = (a.accumulate ? a.out[row] : T{0}) + a.factor * sum;
  }
}

}  // namespace ft::test
