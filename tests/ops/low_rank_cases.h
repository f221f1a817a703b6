// Cases of the thin products: ranks around the tiles, columns that are no multiple of a vector, one of each.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <vector>

namespace ft::test {

struct LowRankCase {
  int64_t tokens, rank, cols;
  int64_t pad = 0;  // the row stride of the wide operand is this much wider than the row
  double scale = 1;
  bool accumulate = true;

  std::string name() const {
    return fmt::format("T{} r{} C{} pad{}{}", tokens, rank, cols, pad, accumulate ? " accumulate" : "");
  }
};

inline const std::vector<LowRankCase>& low_rank_cases() {
  static const std::vector<LowRankCase> cases = {
      {1, 1, 1},
      {2, 1, 9, 0, 2},
      {3, 2, 15, 1, 0.5, false},
      {4, 3, 16},
      {5, 4, 17, 2},
      {6, 5, 100, 0, -1},
      {7, 6, 33, 3, 2, false},
      {13, 7, 64},
      {24, 8, 768, 0, 2},
      {25, 8, 257, 1, 2, false},
      {49, 9, 40},
      {50, 12, 300, 4, 0.25},
      {97, 16, 61},
      {31, 64, 90, 0, 2},
      {130, 8, 600, 8, 4, false},
      {61, 1, 520},
  };
  return cases;
}

}  // namespace ft::test
