#include "engine/config/nearest.h"

#include <algorithm>
#include <cctype>
#include <vector>

namespace ft {
namespace {

constexpr size_t kLongestName = 64;

std::string folded(std::string_view name) {
  std::string out(name);
  for (char& c : out) c = c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

/// Optimal string alignment distance, three rows of the table at a time.
size_t edits(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1])});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(above);
    above.swap(row);
  }
  return above[b.size()];
}

}  // namespace

std::optional<std::string> nearest(std::string_view name, std::span<const std::string> candidates) {
  if (name.empty() || name.size() > kLongestName) return {};
  const std::string given = folded(name);
  const std::string* best = nullptr;
  size_t fewest = std::max<size_t>(1, given.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kLongestName) continue;
    const size_t distance = edits(given, folded(candidate));
    if (distance < fewest) {
      best = &candidate;
      fewest = distance;
    }
  }
  for (const std::string& candidate : candidates) {
    if (best) break;
    const std::string known = folded(candidate);
    const bool beginning = std::min(known.size(), given.size()) >= 3;
    if (beginning && (known.starts_with(given) || given.starts_with(known))) best = &candidate;
  }
  if (!best) return {};
  return *best;
}

}  // namespace ft
