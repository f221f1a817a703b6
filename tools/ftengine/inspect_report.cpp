#include "tools/ftengine/inspect_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "engine/io/printable.h"
#include "engine/train/progress.h"

namespace ft {
namespace {

constexpr size_t kLongest = 400;  // bytes of one fact's text

/// One line of the table: tensors whose names differ in the layer's number alone.
struct Row {
  std::string name, shape, type;
  std::vector<int64_t> layers;  // empty: one tensor
};

bool is_number(std::string_view part) {
  return !part.empty() && part.size() <= 6 &&
         std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// "model.layers.3.mlp" -> {"model.layers.", 3, ".mlp"}; false where no part is a number.
bool split_layer(const std::string& name, std::string& before, int64_t& layer, std::string& after) {
  for (size_t begin = 0; begin < name.size();) {
    const size_t end = std::min(name.find('.', begin), name.size());
    const std::string part = name.substr(begin, end - begin);
    if (is_number(part)) {
      before = name.substr(0, begin);
      layer = std::stoll(part);
      after = name.substr(end);
      return true;
    }
    begin = end + 1;
  }
  return false;
}

/// "0-3,7"
std::string ranges(std::vector<int64_t> numbers) {
  std::sort(numbers.begin(), numbers.end());
  std::string text;
  for (size_t i = 0; i < numbers.size();) {
    size_t j = i;
    while (j + 1 < numbers.size() && numbers[j + 1] == numbers[j] + 1) ++j;
    text += fmt::format("{}{}", text.empty() ? "" : ",", numbers[i]);
    if (j > i) text += fmt::format("-{}", numbers[j]);
    i = j + 1;
  }
  return text;
}

std::vector<Row> rows_of(const std::vector<TensorInfo>& tensors, bool all) {
  std::vector<Row> rows;
  std::map<std::vector<std::string>, size_t> place;
  for (const TensorInfo& t : tensors) {
    Row row{t.name, shape_text(t.shape), t.type, {}};
    std::string before, after;
    int64_t layer = 0;
    if (!all && split_layer(t.name, before, layer, after)) {
      const auto [it, fresh] = place.try_emplace({before, after, row.shape, row.type}, rows.size());
      if (!fresh) {
        rows[it->second].layers.push_back(layer);
        continue;
      }
      row.layers = {layer};
    }
    rows.push_back(std::move(row));
  }
  for (Row& row : rows) {
    std::string before, after;
    int64_t layer = 0;
    if (row.layers.size() > 1 && split_layer(row.name, before, layer, after))
      row.name = before + "{" + ranges(row.layers) + "}" + after;
    row.name = printable(row.name, 160);
  }
  return rows;
}

std::string plain_text(const nlohmann::ordered_json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_integer()) return with_commas(value.get<int64_t>());
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  return value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

void Report::add(std::string_view key, nlohmann::ordered_json value, std::string text) {
  if (text.empty()) text = plain_text(value);
  facts_.push_back({std::string(key), std::move(text), std::move(value)});
}

void Report::add_tensors(const std::vector<TensorInfo>& tensors) {
  tensors_.insert(tensors_.end(), tensors.begin(), tensors.end());
}

std::string Report::text(bool all_tensors) const {
  size_t width = 0;
  for (const Fact& f : facts_) width = std::max(width, f.key.size());
  std::string out;
  for (const Fact& f : facts_) out += fmt::format("{:<{}}  {}\n", f.key, width, printable(f.text, kLongest));
  if (tensors_.empty()) return out;
  const std::vector<Row> rows = rows_of(tensors_, all_tensors);
  size_t name = 6, shape = 5;
  for (const Row& r : rows) {
    name = std::max(name, r.name.size());
    shape = std::max(shape, r.shape.size());
  }
  out += fmt::format("\n{:<{}}  {:<{}}  type\n", "tensor", name, "shape", shape);
  for (const Row& r : rows) out += fmt::format("{:<{}}  {:<{}}  {}\n", r.name, name, r.shape, shape, r.type);
  return out;
}

nlohmann::ordered_json Report::json() const {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  for (const Fact& f : facts_) out[f.key] = f.value;
  if (tensors_.empty()) return out;
  out["tensors"] = nlohmann::ordered_json::array();
  for (const TensorInfo& t : tensors_)
    out["tensors"].push_back({{"name", t.name}, {"shape", t.shape}, {"type", t.type}});
  return out;
}

nlohmann::ordered_json type_counts(const std::vector<TensorInfo>& tensors) {
  std::vector<std::pair<std::string, int64_t>> counts;
  for (const TensorInfo& t : tensors) {
    auto it = std::find_if(counts.begin(), counts.end(), [&](const auto& c) { return c.first == t.type; });
    if (it == counts.end()) it = counts.insert(counts.end(), {t.type, 0});
    it->second += element_count(t);
  }
  std::stable_sort(counts.begin(), counts.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  for (const auto& [type, count] : counts) out[type] = count;
  return out;
}

std::string type_mix(const nlohmann::ordered_json& counts) {
  double total = 0;
  for (const auto& count : counts) total += count.get<double>();
  if (counts.empty()) return "none";
  std::string text;
  for (const auto& [type, count] : counts.items()) {
    const double share = total > 0 ? 100 * count.get<double>() / total : 0;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", type,
                        counts.size() == 1 ? "all"
                        : share < 0.05     ? "under 0.1 %"
                                           : fmt::format("{:.1f} %", share));
  }
  return text;
}

}  // namespace ft
