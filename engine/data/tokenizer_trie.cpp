#include "engine/data/tokenizer_trie.h"

#include <algorithm>

namespace ft {

TokenTrie::TokenTrie(std::vector<std::pair<std::string_view, int32_t>> keys) {
  std::sort(keys.begin(), keys.end());
  struct Work {
    size_t node, begin, end, depth;  // keys [begin, end) share their first `depth` bytes, which lead to node
  };
  std::vector<Work> queue;
  // Appends a node for each byte that follows; a node's children end up side by side.
  const auto expand = [&](size_t begin, size_t end, size_t depth) {
    while (begin < end) {
      const char label = keys[begin].first[depth];
      size_t next = begin + 1;
      while (next < end && keys[next].first[depth] == label) ++next;
      queue.push_back({nodes_.size(), begin, next, depth + 1});
      nodes_.emplace_back();
      labels_.push_back(static_cast<uint8_t>(label));
      begin = next;
    }
  };
  expand(0, keys.size(), 0);
  for (size_t i = 0; i < nodes_.size(); ++i) roots_[labels_[i]] = static_cast<int64_t>(i);
  for (size_t i = 0; i < queue.size(); ++i) {
    auto [node, begin, end, depth] = queue[i];
    if (keys[begin].first.size() == depth) nodes_[node].value = keys[begin++].second;
    const size_t first = nodes_.size();
    expand(begin, end, depth);
    nodes_[node].first_child = static_cast<uint32_t>(first);
    nodes_[node].children = static_cast<uint16_t>(nodes_.size() - first);
  }
}

}  // namespace ft
