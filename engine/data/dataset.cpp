#include "engine/data/dataset.h"

#include <algorithm>
#include <cmath>

#include "engine/core/check.h"
#include "engine/core/rng.h"
#include "engine/data/dataset_formats.h"
#include "engine/data/row_cache.h"

namespace ft {
namespace {

constexpr size_t kChunkIds = size_t{1} << 18;

/// The order of the numbers below `n`, drawn by the seed.
std::vector<uint32_t> drawn_order(uint32_t n, uint64_t seed, std::string_view what) {
  std::vector<uint32_t> order(n);
  for (uint32_t i = 0; i < n; ++i) order[i] = i;
  Rng rng(seed, what);
  for (uint32_t i = n; i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
  return order;
}

void refuse_empty(const Dataset& data) {
  if (!data.rows.empty()) return;
  const DataReport& r = data.report;
  bad_input(
      "{}: no row to learn from ({} without a target, {} skipped, {} too long); a row needs a completion "
      "that survives data.max_length",
      data.source, r.without_target, r.skipped, r.dropped);
}

Dataset read_into_memory(const DataSet& set, const DatasetOptions& o) {
  Dataset data;
  const auto arena = std::make_shared<RowArena>();
  read_rows(set, o, data.report, [&](NewRow&& row) {
    data.rows.push_back(arena->keep(row.ids, row.labels, row.line));
    data.report.count(data.rows.back());
    return true;
  });
  data.storage = {arena};
  return data;
}

Dataset read_through_cache(const DataSet& set, const DatasetOptions& o) {
  const CacheKey key = cache_key(set, o);
  const std::filesystem::path path = cache_path(set, o, key);
  if (auto known = read_row_cache(path, key, o.vocab)) return std::move(*known);
  {
    DataReport report;
    RowCacheWriter writer(path, key);
    read_rows(set, o, report, [&](NewRow&& row) {
      report.count({IdList::view(row.ids), IdList::view(row.labels)});
      writer.add(row.ids, row.labels, row.line);
      return true;
    });
    if (report.rows == 0) {
      Dataset empty;
      empty.report = report;
      return empty;
    }
    writer.commit(report);
  }
  auto made = read_row_cache(path, key, o.vocab);
  if (!made) fail("{}: reads back otherwise than it was written; the disk may be at fault", path.string());
  return std::move(*made);
}

}  // namespace

int64_t DataRow::targets(bool first_counts) const {
  return std::count_if(labels.begin() + (first_counts || labels.empty() ? 0 : 1), labels.end(),
                       [](int32_t l) { return l != kNoTarget; });
}

DataRow RowArena::keep(std::span<const int32_t> ids, std::span<const int32_t> labels, int64_t line) {
  FT_CHECK(ids.size() == labels.size(), "[data] expected as many labels as ids, got {} and {}", labels.size(),
           ids.size());
  const size_t needed = 2 * ids.size();
  if (chunks_.empty() || chunks_.back().capacity() - chunks_.back().size() < needed)
    chunks_.emplace_back().reserve(std::max(needed, kChunkIds));
  std::vector<int32_t>& chunk = chunks_.back();
  const size_t at = chunk.size();
  chunk.insert(chunk.end(), ids.begin(), ids.end());
  chunk.insert(chunk.end(), labels.begin(), labels.end());
  const std::span<const int32_t> kept(chunk.data() + at, needed);
  return {IdList::view(kept.first(ids.size())), IdList::view(kept.subspan(ids.size())), line};
}

void DataReport::count(const DataRow& row) {
  ++rows;
  tokens += static_cast<int64_t>(row.ids.size());
  targets += row.targets();
  longest = std::max(longest, static_cast<int64_t>(row.ids.size()));
}

void DataReport::add(const DataReport& o) {
  rows += o.rows;
  tokens += o.tokens;
  targets += o.targets;
  longest = std::max(longest, o.longest);
  cut += o.cut;
  dropped += o.dropped;
  skipped += o.skipped;
  split += o.split;
  without_target += o.without_target;
  without_target_lines.insert(without_target_lines.end(), o.without_target_lines.begin(),
                              o.without_target_lines.end());
  if (first_skipped.empty()) first_skipped = o.first_skipped;
}

Dataset load_dataset(const DataSet& set, const DatasetOptions& o) {
  std::error_code none;
  const bool cached =
      !o.cache_dir.empty() && std::filesystem::file_size(set.path, none) >= o.cache_from_bytes && !none;
  Dataset data = cached ? read_through_cache(set, o) : read_into_memory(set, o);
  data.source = set.path.string();
  data.corpus = set.format == DataFormat::text;
  refuse_empty(data);
  return data;
}

Dataset split_off(Dataset& from, double fraction, uint64_t seed) {
  const auto total = static_cast<uint32_t>(from.rows.size());
  const auto wanted = static_cast<uint32_t>(fraction * total + 0.5);
  if (wanted == 0 || wanted >= total)
    bad_input("{}: eval_fraction {} of {} rows leaves one side empty", from.source, fraction, total);
  const std::vector<uint32_t> order = drawn_order(total, seed, "eval_fraction");
  std::vector<bool> held(total);
  for (uint32_t i = 0; i < wanted; ++i) held[order[i]] = true;
  Dataset kept{.source = from.source,
               .rows = {},
               .report = from.report,
               .corpus = from.corpus,
               .storage = from.storage};
  kept.report.rows = kept.report.tokens = kept.report.targets = kept.report.longest = 0;
  Dataset out{
      .source = from.source, .rows = {}, .report = {}, .corpus = from.corpus, .storage = from.storage};
  for (uint32_t i = 0; i < total; ++i) {
    Dataset& side = held[i] ? out : kept;
    side.report.count(from.rows[i]);
    side.rows.push_back(from.rows[i]);
  }
  from = std::move(kept);
  return out;
}

void apply_weight(Dataset& data, double weight, uint64_t seed) {
  if (weight == 1) return;
  const auto total = static_cast<uint32_t>(data.rows.size());
  const double whole = std::floor(weight);
  const auto more = static_cast<uint32_t>((weight - whole) * total + 0.5);
  if (whole * total + more < 1) bad_input("{}: weight {} of {} rows leaves none", data.source, weight, total);
  if (whole * total + more > 4e9)
    bad_input("{}: weight {} of {} rows is too much", data.source, weight, total);
  const std::vector<uint32_t> order = drawn_order(total, seed, "weight");
  std::vector<uint32_t> times(total, static_cast<uint32_t>(whole));
  for (uint32_t i = 0; i < more; ++i) ++times[order[i]];
  Dataset weighted{.source = data.source,
                   .rows = {},
                   .report = data.report,
                   .corpus = data.corpus,
                   .storage = data.storage};
  weighted.report.rows = weighted.report.tokens = weighted.report.targets = weighted.report.longest = 0;
  for (uint32_t i = 0; i < total; ++i)
    for (uint32_t n = 0; n < times[i]; ++n) {
      weighted.report.count(data.rows[i]);
      weighted.rows.push_back(data.rows[i]);
    }
  data = std::move(weighted);
}

Dataset join(std::vector<Dataset> sets) {
  Dataset all = std::move(sets.at(0));
  for (size_t i = 1; i < sets.size(); ++i) {
    Dataset& s = sets[i];
    all.source += ", " + s.source;
    all.rows.insert(all.rows.end(), s.rows.begin(), s.rows.end());
    all.report.add(s.report);
    all.corpus &= s.corpus;
    all.storage.insert(all.storage.end(), s.storage.begin(), s.storage.end());
  }
  return all;
}

}  // namespace ft
