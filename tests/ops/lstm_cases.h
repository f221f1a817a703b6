// Sizes of an LSTM's cell: one row a case, for test, gradient check and the other backends.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ft::test {

struct LstmCellCase {
  std::string name;
  int64_t hidden = 0;
  bool first = false;  // no state comes in
};

inline const std::vector<LstmCellCase>& lstm_cell_cases() {
  static const std::vector<LstmCellCase> cases = {
      {"one_unit", 1, false}, {"odd", 37, false}, {"first_step", 37, true}, {"several_blocks", 1100, false}};
  return cases;
}

}  // namespace ft::test
