#include "tools/ftengine/run_samples.h"

#include <algorithm>
#include <cstdio>

#include "engine/core/check.h"
#include "engine/io/json.h"
#include "engine/io/text_file.h"

namespace ft {
namespace {

constexpr const char* kFile = "samples.jsonl";

std::optional<std::string> text(const Json& row, const char* key) {
  const auto found = row.find(key);
  return found != row.end() && found->is_string() ? std::optional(found->get<std::string>()) : std::nullopt;
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

}  // namespace

void recall_samples(const std::filesystem::path& folder, std::vector<SampleAnswers>& samples) {
  if (!std::filesystem::exists(folder / kFile)) return;
  JsonlReader reader(folder / kFile);
  for (Json row; reader.next(row);) {
    if (!row.is_object()) bad_input("{}: expected an object", reader.where());
    for (SampleAnswers& s : samples)
      if (text(row, "prompt") == s.prompt) s.before = text(row, "before");
  }
}

void write_samples(const std::filesystem::path& folder, const std::vector<SampleAnswers>& samples) {
  std::string lines;
  for (const SampleAnswers& s : samples) {
    nlohmann::ordered_json row = {{"prompt", s.prompt}};
    if (s.before) row["before"] = *s.before;
    if (s.after) row["after"] = *s.after;
    lines += row.dump() + "\n";
  }
  write_text_file(folder / kFile, lines);
}

void print_samples(const std::vector<SampleAnswers>& samples) {
  for (const SampleAnswers& s : samples) {
    fmt::print("\n? {}\n", s.prompt);
    if (s.before) fmt::print("  before: {}\n", one_line(*s.before));
    if (s.after) fmt::print("  after:  {}\n", one_line(*s.after));
  }
  if (!samples.empty()) fmt::print("\n");
}

}  // namespace ft
