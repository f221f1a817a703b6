// Row copies: one row a case. Rows come from a matrix of `rows_x` rows and go into one of `rows_y`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ft::test {

struct CopyRowsCase {
  std::string name;
  int64_t count = 0, cols = 0, ldx = 0, ldy = 0, rows_x = 0, rows_y = 0;
  std::vector<int32_t> from, to;  // empty: 0, 1, 2, …
};

inline const std::vector<CopyRowsCase>& copy_rows_cases() {
  static const std::vector<CopyRowsCase> cases = {
      {"one_element", 1, 1, 1, 1, 1, 1, {}, {}},
      {"no_rows", 0, 8, 8, 8, 1, 1, {}, {}},
      {"in_order", 9, 64, 64, 64, 9, 9, {}, {}},
      {"gather_repeats", 5, 37, 40, 37, 7, 5, {6, 0, 3, 3, 6}, {}},
      {"scatter", 4, 16, 16, 24, 4, 9, {}, {8, 0, 5, 2}},
      {"both", 3, 131, 131, 136, 4, 4, {3, 1, 0}, {0, 3, 2}},
      {"part_of_wide_rows", 20, 24, 1000, 72, 20, 20, {}, {}},
      {"long_rows", 3, 5003, 5008, 5003, 3, 3, {2, 1, 0}, {}},
      {"aligned_long_rows", 11, 2048, 2048, 4096, 11, 11, {}, {}},
  };
  return cases;
}

}  // namespace ft::test
