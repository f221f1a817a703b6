#include "engine/data/dataset.h"

#include <algorithm>

#include "engine/core/rng.h"
#include "engine/io/json.h"

namespace ft {
namespace {

constexpr size_t kLinesNamed = 5;
constexpr int64_t kMaxRowTokens = int64_t{1} << 24;

// "FILE:LINE: …" errors of one row.
class RowReader {
 public:
  RowReader(const Json& row, std::string where) : row_(row), where_(std::move(where)) {
    if (!row.is_object()) bad_input("{}: expected a JSON object, got {}", where_, row.type_name());
  }
  std::string text(const char* key, bool required) const {
    const auto it = row_.find(key);
    if (it == row_.end() || it->is_null()) {
      if (required) bad_input("{}: the row has no \"{}\"; see data.format", where_, key);
      return {};
    }
    if (!it->is_string()) bad_input("{}: \"{}\" is a {}; expected a text", where_, key, it->type_name());
    return it->get<std::string>();
  }
  std::vector<int32_t> ids(const char* key, int64_t low, int64_t high) const {
    const auto it = row_.find(key);
    if (it == row_.end() || !it->is_array()) bad_input("{}: expected a list of ids in \"{}\"", where_, key);
    if (static_cast<int64_t>(it->size()) > kMaxRowTokens)
      bad_input("{}: \"{}\" has {} ids; no row may be that long", where_, key, it->size());
    std::vector<int32_t> out;
    out.reserve(it->size());
    for (const Json& v : *it) {
      if (!v.is_number_integer()) bad_input("{}: \"{}\" holds {}; expected ids", where_, key, v.type_name());
      const auto id =
          v.is_number_unsigned() && v.get<uint64_t>() > INT32_MAX ? int64_t{INT32_MAX} : v.get<int64_t>();
      if (id != kNoTarget && (id < low || id >= high))
        bad_input("{}: \"{}\" holds {}; ids of this model are 0 to {}", where_, key, v.dump(), high - 1);
      out.push_back(static_cast<int32_t>(id));
    }
    return out;
  }
  bool has(const char* key) const { return row_.contains(key) && !row_.at(key).is_null(); }
  const std::string& where() const { return where_; }

 private:
  const Json& row_;
  std::string where_;
};

DataRow tokenized(const RowReader& in, int64_t vocab) {
  DataRow row;
  row.ids = in.ids("input_ids", 0, vocab);
  for (const int32_t id : row.ids)
    if (id == kNoTarget) bad_input("{}: \"input_ids\" holds {}; only labels may", in.where(), kNoTarget);
  row.labels = in.has("labels") ? in.ids("labels", 0, vocab) : row.ids;
  if (row.labels.size() != row.ids.size())
    bad_input("{}: {} labels for {} input_ids; a causal model needs one each", in.where(), row.labels.size(),
              row.ids.size());
  return row;
}

DataRow rendered(const RowReader& in, const DataSet& set, const DatasetOptions& o) {
  Sample sample;
  if (set.format == DataFormat::alpaca) {
    sample.system = in.text("system", false);
    sample.instruction = in.text("instruction", true);
    sample.input = in.text("input", false);
    sample.output = in.text("output", true);
  } else {
    sample.instruction = in.text("prompt", true);
    sample.output = in.text("completion", true);
  }
  const Rendered r = o.prompt_template->render(sample);
  DataRow row;
  row.ids = r.ids;
  row.labels.resize(r.ids.size(), kNoTarget);
  for (size_t i = 0; i < r.ids.size(); ++i)
    if (o.train_on == TrainOn::all || r.target[i]) row.labels[i] = r.ids[i];
  return row;
}

// False: the row is left out.
bool cut_to_length(DataRow& row, const DatasetOptions& o, const std::string& where, DataReport& report) {
  const auto length = static_cast<int64_t>(row.ids.size());
  if (o.max_length <= 0 || length <= o.max_length) return true;
  switch (o.truncation) {
    case Truncation::error:
      bad_input(
          "{}: the sample has {} tokens, data.max_length is {}; raise it or choose data.truncation: "
          "keep_start, keep_end or drop",
          where, length, o.max_length);
    case Truncation::drop:
      ++report.dropped;
      return false;
    case Truncation::keep_start:
      row.ids.resize(static_cast<size_t>(o.max_length));
      row.labels.resize(static_cast<size_t>(o.max_length));
      break;
    case Truncation::keep_end:
      row.ids.erase(row.ids.begin(), row.ids.end() - o.max_length);
      row.labels.erase(row.labels.begin(), row.labels.end() - o.max_length);
      break;
  }
  ++report.cut;
  return true;
}

void count(DataReport& report, const DataRow& row) {
  ++report.rows;
  report.tokens += static_cast<int64_t>(row.ids.size());
  report.targets += row.targets();
  report.longest = std::max(report.longest, static_cast<int64_t>(row.ids.size()));
}

}  // namespace

int64_t DataRow::targets(bool first_counts) const {
  return std::count_if(labels.begin() + (first_counts || labels.empty() ? 0 : 1), labels.end(),
                       [](int32_t l) { return l != kNoTarget; });
}

Dataset load_dataset(const DataSet& set, const DatasetOptions& o) {
  if (set.format != DataFormat::alpaca && set.format != DataFormat::prompt_completion &&
      set.format != DataFormat::tokenized)
    bad_input("{}: format {} is not supported; use alpaca, prompt_completion or tokenized", set.path.string(),
              name_of(set.format));
  Dataset data;
  data.source = set.path.string();
  JsonlReader file(set.path);
  Json json;
  while (true) {
    try {
      if (!file.next(json)) break;
      const RowReader in(json, file.where());
      DataRow row = set.format == DataFormat::tokenized ? tokenized(in, o.vocab) : rendered(in, set, o);
      row.line = file.line();
      if (!cut_to_length(row, o, in.where(), data.report)) continue;
      if (row.targets() == 0) {
        ++data.report.without_target;
        if (data.report.without_target_lines.size() < kLinesNamed)
          data.report.without_target_lines.push_back(row.line);
        continue;
      }
      count(data.report, row);
      data.rows.push_back(std::move(row));
    } catch (const InputError&) {
      if (o.on_bad_row == OnBadRow::error) throw;
      ++data.report.skipped;
    }
  }
  if (data.rows.empty())
    bad_input(
        "{}: no row to learn from ({} without a target, {} skipped, {} too long); a row needs a completion "
        "that survives data.max_length",
        data.source, data.report.without_target, data.report.skipped, data.report.dropped);
  return data;
}

Dataset split_off(Dataset& from, double fraction, uint64_t seed) {
  const auto total = static_cast<uint32_t>(from.rows.size());
  const auto wanted = static_cast<uint32_t>(fraction * total + 0.5);
  if (wanted == 0 || wanted >= total)
    bad_input("{}: eval_fraction {} of {} rows leaves one side empty", from.source, fraction, total);
  std::vector<uint32_t> order(total);
  for (uint32_t i = 0; i < total; ++i) order[i] = i;
  Rng rng(seed, "eval_fraction");
  for (uint32_t i = total - 1; i > 0; --i) std::swap(order[i], order[rng.below(i + 1)]);
  std::vector<bool> held(total);
  for (uint32_t i = 0; i < wanted; ++i) held[order[i]] = true;
  Dataset kept, out;
  kept.source = out.source = from.source;
  const DataReport before = from.report;
  for (uint32_t i = 0; i < total; ++i) {
    Dataset& side = held[i] ? out : kept;
    count(side.report, from.rows[i]);
    side.rows.push_back(std::move(from.rows[i]));
  }
  kept.report.cut = before.cut;
  kept.report.dropped = before.dropped;
  kept.report.skipped = before.skipped;
  kept.report.without_target = before.without_target;
  kept.report.without_target_lines = before.without_target_lines;
  from = std::move(kept);
  return out;
}

}  // namespace ft
