// What training leaves: adapters, checkpoints, output folders.
#include <algorithm>
#include <cmath>
#include <optional>

#include "engine/io/json.h"
#include "engine/io/safetensors.h"
#include "engine/train/checkpoint.h"
#include "engine/train/progress.h"
#include "tools/ftengine/inspect_files.h"

namespace ft {
namespace fs = std::filesystem;
namespace {

// What people ask of an adapter's configuration; the rest stands in its adapter_config.json.
constexpr const char* kSummary[] = {"r",
                                    "lora_alpha",
                                    "lora_dropout",
                                    "target_modules",
                                    "exclude_modules",
                                    "bias",
                                    "use_rslora",
                                    "modules_to_save",
                                    "rank_pattern",
                                    "alpha_pattern",
                                    "fan_in_fan_out",
                                    "layers_to_transform"};

bool says_something(const Json& v) {
  return !(v.is_null() || (v.is_boolean() && !v.get<bool>()) ||
           ((v.is_array() || v.is_object()) && v.empty()));
}

struct Contents {
  bool finite = true;
  bool has_b = false, all_b_zero = true;  // lora_B: zero ones change nothing
};

Contents read_contents(const SafetensorsFile& file) {
  Contents c;
  for (const TensorInfo& t : file.tensors()) {
    std::vector<float> values(static_cast<size_t>(element_count(t)));
    file.read_all(t, values.data());
    c.finite &= std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
    if (t.name.find("lora_B") == std::string::npos) continue;
    c.has_b = true;
    c.all_b_zero &= std::all_of(values.begin(), values.end(), [](float v) { return v == 0; });
  }
  return c;
}

/// The last row of metrics.jsonl that has `key`.
std::optional<Json> last_row(const fs::path& metrics, const char* key) {
  std::optional<Json> last;
  if (!fs::exists(metrics)) return last;
  JsonlReader reader(metrics);
  Json row;
  while (reader.next(row))
    if (row.is_object() && row.contains(key)) last = row;
  return last;
}

}  // namespace

void describe_adapter(const fs::path& folder, Report& report) {
  const Json config = read_json_file(folder / "adapter_config.json");
  if (!config.is_object()) bad_input("{}: expected a JSON object", (folder / "adapter_config.json").string());
  report.add("kind", "adapter", "adapter in PEFT's format");
  for (const char* key : {"peft_type", "base_model_name_or_path"})
    if (config.contains(key)) report.add(key, config.at(key));
  for (const char* key : kSummary)
    if (config.contains(key) && says_something(config.at(key))) report.add(key, config.at(key));

  const SafetensorsFile file(folder / "adapter_model.safetensors");
  int64_t stored = 0;
  for (const TensorInfo& t : file.tensors()) stored += element_count(t);
  std::error_code error;
  const auto bytes = fs::file_size(folder / "adapter_model.safetensors", error);
  report.add("parameters", stored,
             fmt::format("{} stored in {} tensors", with_commas(stored), file.tensors().size()));
  report.add("types", type_counts(file.tensors()), type_mix(type_counts(file.tensors())));
  report.add("bytes", bytes, human_bytes(static_cast<double>(bytes)));
  const Contents c = read_contents(file);
  if (!c.finite) report.add("finite", false, "no: some values are infinite or NaN");
  if (c.has_b)
    report.add("changes_the_base", !c.all_b_zero, c.all_b_zero ? "no: every lora_B is zero" : "yes");
  if (fs::exists(folder / "ftengine.json")) {
    const Json origin = read_json_file(folder / "ftengine.json");
    for (const char* key : {"base_fingerprint", "template", "stop_ids"})
      if (origin.is_object() && origin.contains(key)) report.add(key, origin.at(key));
  }
  report.add_tensors(file.tensors());
}

void describe_checkpoint(const fs::path& folder, Report& report) {
  const Json state = read_json_file(folder / "trainer_state.json");
  if (!state.is_object()) bad_input("{}: expected a JSON object", (folder / "trainer_state.json").string());
  report.add("checkpoint", folder.filename().string());
  const char* const keys[] = {"step", "global_step", "updates",     "tokens", "targets",
                              "best", "best_step",   "best_metric", "data",   "instruction_set"};
  for (const char* key : keys)
    if (state.contains(key) && says_something(state.at(key))) report.add(key, state.at(key));
  report.add("resumable", fs::exists(folder / "optimizer.safetensors"),
             fs::exists(folder / "optimizer.safetensors") ? "yes: the optimizer's state is here"
                                                          : "no: optimizer.safetensors is missing");
}

void describe_run(const fs::path& folder, Report& report) {
  const auto checkpoints = list_checkpoints(folder);
  std::vector<std::string> names;
  for (const fs::path& c : checkpoints) names.push_back(c.filename().string());
  report.add("checkpoints", names, names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
  if (const auto row = last_row(folder / "metrics.jsonl", "loss"))
    report.add("last_step", *row,
               fmt::format("{}: loss {}", row->value("step", Json()).dump(), row->at("loss").dump()));
  if (const auto row = last_row(folder / "metrics.jsonl", "eval_loss"))
    report.add(
        "last_evaluation", *row,
        fmt::format("step {}: eval_loss {}", row->value("step", Json()).dump(), row->at("eval_loss").dump()));
}

}  // namespace ft
