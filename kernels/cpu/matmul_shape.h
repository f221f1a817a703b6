// How the matrix products cut their work. Everything here follows from shapes alone, and only chunk_length()
// touches bits: every sum over a long dimension is formed in chunks, one chain of fused multiply-adds from
// zero in each, and the chunks' sums are added in order. Blocks and tasks never cut a chunk in two.
#pragma once

#include <algorithm>
#include <cstdint>

namespace ft {

constexpr int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}
constexpr int64_t round_up(int64_t a, int64_t unit) {
  return ceil_div(a, unit) * unit;
}

/// Longest chunk of a sum: a panel of 16 × 288 floats (18 KB) and a tile's other operand share a 32 KB L1.
constexpr int64_t kMaxChunk = 288;

/// Length of the chunks of a sum over `depth` terms: equal up to a multiple of 16, the last may be shorter.
constexpr int64_t chunk_length(int64_t depth) {
  const int64_t chunks = std::max<int64_t>(1, ceil_div(depth, kMaxChunk));
  return round_up(std::max<int64_t>(1, ceil_div(depth, chunks)), 16);
}

/// [0, total) cut into equal parts, multiples of `unit` (the last one shorter).
struct Cut {
  int64_t total, size, count;
  int64_t begin(int64_t i) const { return i * size; }
  int64_t length(int64_t i) const { return std::min(size, total - i * size); }
};
constexpr Cut cut_into(int64_t total, int64_t parts, int64_t unit) {
  const int64_t size = std::max(unit, round_up(ceil_div(total, std::max<int64_t>(1, parts)), unit));
  return {total, size, ceil_div(total, size)};
}
/// Parts of at most `size` elements, made as equal as the unit allows.
constexpr Cut cut_by(int64_t total, int64_t size, int64_t unit) {
  return cut_into(total, ceil_div(total, size), unit);
}

/// Tasks worth having for so many multiply-adds: some 20 µs of one core each, at most 64.
constexpr int64_t useful_tasks(double multiply_adds) {
  return std::clamp<int64_t>(static_cast<int64_t>(multiply_adds / 1e6), 1, 64);
}

/// Into how many parts to cut the other side of a product whose one side is in `others` parts already: at
/// least 8 tasks where the work deserves as many, an even number of them, and parts of at least `least` and
/// at most `most`.
constexpr int64_t parts_beside(int64_t others, int64_t tasks, int64_t total, int64_t least, int64_t most) {
  const int64_t fewest = ceil_div(total, most), finest = std::max(fewest, ceil_div(total, least));
  const int64_t parts = std::clamp(ceil_div(std::min<int64_t>(tasks, 8), others), fewest, finest);
  if (parts * others % 2 == 0) return parts;
  return parts < finest ? parts + 1 : std::max(fewest, parts - 1);
}

/// `rows` covered by as few register tiles of at most `most` rows as possible, of even height.
struct TileRows {
  int64_t count, height, taller;  // the first `taller` tiles have height + 1 rows
  TileRows(int64_t rows, int64_t most)
      : count(std::max<int64_t>(1, ceil_div(rows, most))), height(rows / count), taller(rows % count) {}
  int64_t begin(int64_t i) const { return height * i + std::min(i, taller); }
  int length(int64_t i) const { return static_cast<int>(height + (i < taller)); }
};

}  // namespace ft
