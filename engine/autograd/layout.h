// How the samples of one pass lie end to end: the only layout there is (no padding). Made once a pass, shared
// by every op of it and by its backward.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/core/segments.h"

namespace ft {

/// What an op must know of the rows that it is given: sample bounds, and each row's name for dropout.
struct RowIndex {
  Segments segments;
  IndexView row;       // [tokens]
  IndexView position;  // [tokens]
};

struct Layout {
  std::vector<int32_t> bounds = {0};  // [samples + 1]: tokens of sample s are [bounds[s], bounds[s+1])
  std::vector<int32_t> row;       // [tokens]: the sample's ordinal in the optimizer step (names its dropout)
  std::vector<int32_t> position;  // [tokens]: position in the sample, cached and virtual ones counted in
  std::vector<int32_t> leading;   // [samples]: rows at its start that are virtual: they have no id

  int32_t samples() const { return static_cast<int32_t>(bounds.size()) - 1; }
  int64_t tokens() const { return bounds.back(); }

  /// Appends a sample of `virtual_rows` and then `length` tokens whose first row has position `start`.
  void add_sample(int64_t length, int32_t row_in_step, int32_t start = 0, int32_t virtual_rows = 0) {
    length += virtual_rows;
    for (int64_t i = 0; i < length; ++i) {
      row.push_back(row_in_step);
      position.push_back(start + static_cast<int32_t>(i));
    }
    bounds.push_back(static_cast<int32_t>(bounds.back() + length));
    leading.push_back(virtual_rows);
  }
};

using LayoutPtr = std::shared_ptr<const Layout>;

}  // namespace ft
