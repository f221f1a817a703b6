// Lengths for whole-buffer ops, and shapes for column sums and dropout: one row a case.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ft::test {

/// Around vector widths and task sizes.
constexpr int64_t kCounts[] = {0, 1, 7, 8, 33, 16383, 16384, 16385, 50001};

struct ColumnSumCase {
  std::string name;
  std::vector<int32_t> lengths;
  int64_t cols = 0, ld = 0;
};
inline const std::vector<ColumnSumCase>& column_sum_cases() {
  static const std::vector<ColumnSumCase> cases = {{"one", {1}, 1, 1},
                                                   {"ragged", {3, 0, 5, 1}, 37, 40},
                                                   {"blocks", {8, 9}, 64, 64},
                                                   {"wide", {20, 44}, 576, 600},
                                                   {"long_sample", {300}, 131, 131}};
  return cases;
}

struct DropoutCase {
  std::string name;
  int64_t tokens = 0, cols = 0;
  float p = 0;
  uint64_t key = 0;
};
inline const std::vector<DropoutCase>& dropout_cases() {
  static const std::vector<DropoutCase> cases = {
      {"one", 1, 1, 0.5f, 1},      {"off", 3, 50, 0.0f, 2},
      {"all", 3, 50, 1.0f, 3},     {"odd", 9, 67, 0.1f, 0xfedcba9876543210ull},
      {"tenth", 40, 576, 0.1f, 5}, {"most", 33, 128, 0.9f, 0xffffffffffffffffull},
      {"rare", 17, 300, 1e-3f, 7}};
  return cases;
}

}  // namespace ft::test
