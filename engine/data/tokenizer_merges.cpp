#include "engine/data/tokenizer_merges.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <queue>
#include <tuple>

#include "engine/core/check.h"
#include "engine/data/tokenizer_utf8.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

constexpr size_t kShort = 96;
// Finding all halves of a token costs its length squared. Real tokens end at some 130 characters.
constexpr size_t kMaxRankedToken = 1024;

uint32_t joint(uint32_t first, uint32_t second, uint32_t shift) {
  return (first * 0x9E3779B1u + second * 0x85EBCA77u) >> shift;
}

}  // namespace

std::vector<TokenMerge> merges_of_pairs(const Vocabulary& vocabulary, const MergeViews& pairs,
                                        const std::string& source) {
  if (pairs.size() >= kNoRank) bad_input("{}: too many merges", source);
  std::vector<TokenMerge> merges;
  merges.reserve(pairs.size());
  std::string joined;
  for (size_t rank = 0; rank < pairs.size(); ++rank) {
    const std::string_view left = pairs[rank].first, right = pairs[rank].second;
    const auto need = [&](std::string_view content) {
      const auto id = vocabulary.id(content);
      if (!id) {
        bad_input("{}: merge {} (\"{} {}\") needs the token \"{}\", which is not in the vocabulary", source,
                  rank + 1, printable(left, 40), printable(right, 40), printable(content, 80));
      }
      return *id;
    };
    joined.assign(left).append(right);
    merges.push_back({need(left), need(right), need(joined), static_cast<uint32_t>(rank)});
  }
  return merges;
}

std::vector<TokenMerge> merges_of_ranks(const Vocabulary& vocabulary, std::span<const uint32_t> ranks,
                                        const std::string& source) {
  std::vector<TokenMerge> merges;
  const auto takes_part = [&](int32_t id) { return ranks[static_cast<size_t>(id)] != kNoRank; };
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    const std::string_view content = vocabulary.content(id);
    if (content.empty() || !takes_part(id)) continue;
    if (content.size() > kMaxRankedToken) {
      bad_input("{}: token {} is {} bytes long; the longest that is supported has {}", source, id,
                content.size(), kMaxRankedToken);
    }
    for (size_t at = next_utf8(content).bytes; at < content.size();
         at += next_utf8(content.substr(at)).bytes) {
      const auto left = vocabulary.id(content.substr(0, at));
      if (!left || !takes_part(*left)) continue;
      const auto right = vocabulary.id(content.substr(at));
      if (!right || !takes_part(*right)) continue;
      merges.push_back({*left, *right, id, ranks[static_cast<size_t>(id)]});
    }
  }
  return merges;
}

MergeTable::MergeTable(std::vector<TokenMerge> merges, const Vocabulary& vocabulary) {
  const auto size = static_cast<size_t>(vocabulary.size());
  std::sort(merges.begin(), merges.end(), [](const TokenMerge& a, const TokenMerge& b) {
    return std::tie(a.left, a.right, a.rank) < std::tie(b.left, b.right, b.rank);
  });
  first_.resize(size);
  last_.resize(size);
  for (size_t id = 0; id < size; ++id) {
    const std::string_view content = vocabulary.content(static_cast<int32_t>(id));
    if (content.empty()) continue;
    first_[id] = next_utf8(content).code;
    last_[id] = last_utf8(content).code;
  }
  const size_t bits = std::bit_ceil(std::clamp<size_t>(8 * merges.size(), 1 << 12, 1 << 21));
  joined_.resize(bits / 64);
  joined_shift_ = 33 - static_cast<uint32_t>(std::bit_width(bits));
  row_begin_.assign(size + 1, 0);
  entries_.reserve(merges.size());
  for (size_t i = 0; i < merges.size(); ++i) {
    const TokenMerge& m = merges[i];
    // A pair listed twice counts at its last place, as in Hugging Face's tokenizers.
    const bool again =
        i + 1 < merges.size() && m.left == merges[i + 1].left && m.right == merges[i + 1].right;
    if (again) continue;
    entries_.push_back({m.right, m.result, m.rank});
    ++row_begin_[static_cast<size_t>(m.left) + 1];
    const uint32_t bit =
        joint(last_[static_cast<size_t>(m.left)], first_[static_cast<size_t>(m.right)], joined_shift_);
    joined_[bit / 64] |= uint64_t{1} << (bit % 64);
  }
  for (size_t i = 1; i < row_begin_.size(); ++i) row_begin_[i] += row_begin_[i - 1];
}

std::vector<TokenMerge> MergeTable::by_rank() const {
  std::vector<TokenMerge> all;
  all.reserve(entries_.size());
  for (size_t left = 0; left + 1 < row_begin_.size(); ++left) {
    for (uint32_t i = row_begin_[left]; i < row_begin_[left + 1]; ++i) {
      all.push_back({static_cast<int32_t>(left), entries_[i].right, entries_[i].result, entries_[i].rank});
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const TokenMerge& a, const TokenMerge& b) { return a.rank < b.rank; });
  return all;
}

const MergeTable::Entry& MergeTable::find(int32_t left, int32_t right) const {
  const Entry* first = entries_.data() + row_begin_[static_cast<size_t>(left)];
  size_t count = row_begin_[static_cast<size_t>(left) + 1] - row_begin_[static_cast<size_t>(left)];
  while (count > 1) {  // without a branch that depends on the data
    const size_t half = count / 2;
    first += first[half].right <= right ? half : 0;
    count -= half;
  }
  return count == 1 && first->right == right ? *first : kNone;
}

bool MergeTable::may_join(int32_t left, int32_t right) const {
  const uint32_t bit =
      joint(last_[static_cast<size_t>(left)], first_[static_cast<size_t>(right)], joined_shift_);
  return (joined_[bit / 64] >> (bit % 64)) & 1;
}

size_t MergeTable::apply(int32_t* ids, size_t n) const {
  if (n < 2 || entries_.empty()) return n;
  constexpr size_t few = 12;  // not worth a look at where to cut
  if (n <= few) return apply_short(ids, n);
  size_t out = 0, begin = 0;
  for (size_t i = 1; i <= n; ++i) {
    if (i < n && may_join(ids[i - 1], ids[i])) continue;
    const size_t left = apply_whole(ids + begin, i - begin);
    if (out != begin) std::memmove(ids + out, ids + begin, left * sizeof(int32_t));
    out += left;
    begin = i;
  }
  return out;
}

size_t MergeTable::apply_whole(int32_t* ids, size_t n) const {
  return n <= kShort ? apply_short(ids, n) : apply_long(ids, n);
}

size_t MergeTable::apply_short(int32_t* ids, size_t n) const {
  if (n < 2) return n;
  std::array<uint32_t, kShort> rank;
  std::array<int32_t, kShort> result;
  const auto look_up = [&](size_t i) {
    const Entry& entry = find(ids[i], ids[i + 1]);
    rank[i] = entry.rank;
    result[i] = entry.result;
  };
  for (size_t i = 0; i + 1 < n; ++i) look_up(i);
  while (n > 1) {
    const size_t pairs = n - 1;
    size_t best = 0;
    for (size_t i = 1; i < pairs; ++i) best = rank[i] < rank[best] ? i : best;
    if (rank[best] == kNoRank) break;
    ids[best] = result[best];
    const size_t behind = pairs - best - 1;  // pairs, and so tokens, that move up by one
    std::memmove(ids + best + 1, ids + best + 2, behind * sizeof(int32_t));
    std::memmove(rank.data() + best, rank.data() + best + 1, behind * sizeof(uint32_t));
    std::memmove(result.data() + best, result.data() + best + 1, behind * sizeof(int32_t));
    --n;
    if (best > 0) look_up(best - 1);
    if (best + 1 < n) look_up(best);
  }
  return n;
}

size_t MergeTable::apply_long(int32_t* ids, size_t n) const {
  constexpr uint32_t none = std::numeric_limits<uint32_t>::max();
  if (n >= none) bad_input("a stretch of {} bytes without a place to split is too long to tokenize", n);
  struct Link {
    uint32_t previous, next;
  };
  struct Candidate {
    uint32_t rank, at;
    int32_t left, right, result;
    bool operator>(const Candidate& o) const { return std::tie(rank, at) > std::tie(o.rank, o.at); }
  };
  std::vector<Link> links(n);
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto consider = [&](uint32_t at) {
    const uint32_t next = links[at].next;
    if (next == none) return;
    const Entry& entry = find(ids[at], ids[next]);
    if (entry.rank != kNoRank) queue.push({entry.rank, at, ids[at], ids[next], entry.result});
  };
  for (uint32_t i = 0; i < n; ++i) links[i] = {i == 0 ? none : i - 1, i + 1 == n ? none : i + 1};
  for (uint32_t i = 0; i < n; ++i) consider(i);
  while (!queue.empty()) {
    const Candidate c = queue.top();
    queue.pop();
    // Outdated unless the same two tokens still stand there; a merged-away token is -1.
    if (ids[c.at] != c.left) continue;
    const uint32_t gone = links[c.at].next;
    if (gone == none || ids[gone] != c.right) continue;
    ids[c.at] = c.result;
    ids[gone] = -1;
    links[c.at].next = links[gone].next;
    if (links[gone].next != none) links[links[gone].next].previous = c.at;
    if (links[c.at].previous != none) consider(links[c.at].previous);
    consider(c.at);
  }
  return static_cast<size_t>(std::remove(ids, ids + n, -1) - ids);
}

}  // namespace ft
