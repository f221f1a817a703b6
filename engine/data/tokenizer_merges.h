// Which neighbours become one token, and the merging itself: the heart of every BPE.
//
// As long as any neighbours have a merge, the pair of the lowest rank (the leftmost of equals) becomes one
// token. The result depends on nothing else, so the ways to get there are free: neighbours that stand side by
// side in no token are cut apart first, short stretches scan an array of ranks (n² of very little), long ones
// keep a heap (n log n, so that a megabyte without a blank is no attack). Immutable once made.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/data/tokenizer_vocabulary.h"

namespace ft {

inline constexpr uint32_t kNoRank = std::numeric_limits<uint32_t>::max();

struct TokenMerge {
  int32_t left, right, result;
  uint32_t rank;
};

using MergeViews = std::vector<std::pair<std::string_view, std::string_view>>;

/// `pairs` of contents in order of rank. Throws InputError, opened by `source`, where a pair names or makes a
/// token that the vocabulary lacks.
std::vector<TokenMerge> merges_of_pairs(const Vocabulary& vocabulary, const MergeViews& pairs,
                                        const std::string& source);

/// Every way to make a token out of two others, for kinds that rank tokens instead of pairs: ranks[id], or
/// kNoRank for a token that is never made nor taken. Throws InputError for a token too long to be one.
std::vector<TokenMerge> merges_of_ranks(const Vocabulary& vocabulary, std::span<const uint32_t> ranks,
                                        const std::string& source);

class MergeTable {
 public:
  MergeTable() = default;
  MergeTable(std::vector<TokenMerge> merges, const Vocabulary& vocabulary);

  /// Merges ids[0, n) in place; returns how many are left.
  size_t apply(int32_t* ids, size_t n) const;
  std::vector<TokenMerge> by_rank() const;

 private:
  struct Entry {
    int32_t right, result;
    uint32_t rank;
  };
  static constexpr Entry kNone{-1, -1, kNoRank};
  const Entry& find(int32_t left, int32_t right) const;
  /// False only where no token holds the end of `left` before the beginning of `right`.
  bool may_join(int32_t left, int32_t right) const;
  size_t apply_whole(int32_t* ids, size_t n) const;
  size_t apply_short(int32_t* ids, size_t n) const;
  size_t apply_long(int32_t* ids, size_t n) const;

  std::vector<Entry> entries_;       // by left token, then by right one
  std::vector<uint32_t> row_begin_;  // [size + 1] into entries_
  // Characters side by side in tokens, as a Bloom filter of one bit a pair.
  std::vector<uint32_t> first_, last_;  // [size] each token's first and last character, hashed
  std::vector<uint64_t> joined_;
  uint32_t joined_shift_ = 0;
};

}  // namespace ft
