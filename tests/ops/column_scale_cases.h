// Shapes for the scaling of columns: one row a case, for test, gradient check and the other backends.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ft::test {

struct ColumnScaleCase {
  std::string name;
  std::vector<int32_t> lengths;  // of the samples, in tokens
  int64_t cols = 0;
  bool accumulate = false;
  bool pivot = false;
};

inline const std::vector<ColumnScaleCase>& column_scale_cases() {
  static const std::vector<ColumnScaleCase> cases = {{"one", {1}, 1, false},
                                                     {"odd_columns", {3, 0, 5}, 37, true},
                                                     {"blocks", {8, 9}, 64, false},
                                                     {"model_width", {9, 23}, 576, true},
                                                     {"wide", {4, 3}, 1537, true},
                                                     {"long_sample", {150, 2}, 131, false},
                                                     {"pivot", {3, 8}, 37, true, true},
                                                     {"pivot_wide", {9, 2}, 576, false, true}};
  return cases;
}

}  // namespace ft::test
