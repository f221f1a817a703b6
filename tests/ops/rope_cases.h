// Shapes of the rotary embedding: one row a case, for test, gradient check, benchmark and the other backends.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ft::test {

struct RopeCase {
  std::string name;
  int64_t tokens = 1, heads = 1, head_dim = 2, rotary_dim = 2;
  bool interleaved = false;
};

inline const std::vector<RopeCase>& rope_cases() {
  static const std::vector<RopeCase> cases = {
      {"one_pair", 1, 1, 2, 2},
      {"half_split", 5, 3, 12, 12},
      {"half_split_64", 70, 9, 64, 64},
      {"part_of_a_head", 6, 2, 20, 8},
      {"odd_half", 4, 3, 26, 26},
      {"neighbours", 5, 3, 12, 12, true},
      {"neighbours_64", 9, 4, 64, 64, true},
      {"neighbours_part", 7, 2, 21, 10, true},
      {"no_tokens", 0, 2, 8, 8},
  };
  return cases;
}

}  // namespace ft::test
