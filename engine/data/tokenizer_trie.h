// Which of many strings begin a text, in one walk over its first bytes.
//
// The children of a node lie side by side, sorted, so a step is a binary search among at most 256 labels
// whatever the strings are: no input makes it slow. Immutable once made.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace ft {

class TokenTrie {
 public:
  TokenTrie() = default;
  /// Distinct non-empty strings, each with a value ≥ 0; the views are not kept.
  explicit TokenTrie(std::vector<std::pair<std::string_view, int32_t>> keys);

  /// found(bytes, value) for each of the strings that `text` begins with, the shortest first.
  template <class Found>
  void prefixes(std::string_view text, Found&& found) const {
    if (text.empty()) return;
    int64_t node = roots_[static_cast<uint8_t>(text[0])];
    for (size_t depth = 1; node >= 0; ++depth) {
      const Node& here = nodes_[static_cast<size_t>(node)];
      if (here.value >= 0) found(depth, here.value);
      if (depth == text.size()) return;
      node = child(here, static_cast<uint8_t>(text[depth]));
    }
  }

 private:
  struct Node {
    uint32_t first_child = 0;
    uint16_t children = 0;
    int32_t value = -1;
  };
  int64_t child(const Node& node, uint8_t label) const {
    if (node.children == 0) return -1;
    size_t first = node.first_child, count = node.children;
    while (count > 1) {
      const size_t half = count / 2;
      first += labels_[first + half] <= label ? half : 0;
      count -= half;
    }
    return labels_[first] == label ? static_cast<int64_t>(first) : -1;
  }

  std::array<int64_t, 256> roots_ = filled();
  std::vector<Node> nodes_;
  std::vector<uint8_t> labels_;  // beside nodes_
  static constexpr std::array<int64_t, 256> filled() {
    std::array<int64_t, 256> none{};
    none.fill(-1);
    return none;
  }
};

}  // namespace ft
