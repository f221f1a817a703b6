// Shapes of the head's loss: one row a case.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ft::test {

struct CrossEntropyCase {
  std::string name;
  int64_t rows = 0, classes = 0, ld = 0;
  double scale = 1;     // of the logits
  double shift = 0;     // added to all logits
  double gradient = 1;  // CrossEntropyArgs::scale
};

inline const std::vector<CrossEntropyCase>& cross_entropy_cases() {
  static const std::vector<CrossEntropyCase> cases = {
      {"one_class", 3, 1, 1, 1, 0, 1},
      {"two_classes", 5, 2, 2, 3, 0, 0.5},
      {"odd_with_stride", 7, 101, 112, 2, 0, 0.125},
      {"exactly_one_block", 2, 4096, 4096, 2, 0, 1},
      {"several_blocks", 3, 10007, 10016, 4, 0, 1.0 / 3},
      {"vocabulary", 2, 49152, 49152, 3, 0, 1.0 / 64},
      {"sharp", 4, 300, 300, 50, 0, 1},
      {"far_from_zero", 4, 5000, 5000, 3, 3e4, 1},
      {"far_below_zero", 4, 5000, 5000, 3, -3e4, 1},
  };
  return cases;
}

}  // namespace ft::test
