// What training leaves: adapters, checkpoints, output folders.
#include <algorithm>
#include <cmath>
#include <optional>

#include "adapters/files.h"
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
                                    "feedforward_modules",
                                    "bias_names",
                                    "bias",
                                    "use_rslora",
                                    "modules_to_save",
                                    "rank_pattern",
                                    "alpha_pattern",
                                    "fan_in_fan_out",
                                    "layers_to_transform",
                                    "num_virtual_tokens",
                                    "prompt_tuning_init",
                                    "prompt_tuning_init_text",
                                    "prefix_projection",
                                    "prefix_tuning_init",
                                    "prefix_tuning_init_text",
                                    "encoder_reparameterization_type",
                                    "encoder_hidden_size",
                                    "encoder_num_layers",
                                    "encoder_dropout"};

bool says_something(const Json& v) {
  return !(v.is_null() || (v.is_boolean() && !v.get<bool>()) ||
           ((v.is_array() || v.is_object()) && v.empty()));
}

bool all_finite(const SafetensorsFile& file) {
  return std::all_of(file.tensors().begin(), file.tensors().end(), [&](const TensorInfo& t) {
    std::vector<float> values(static_cast<size_t>(element_count(t)));
    file.read_all(t, values.data());
    return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
  });
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
  Json summary = config;
  if (fs::exists(folder / "ftengine.json"))
    if (const Json extra = read_json_file(folder / "ftengine.json");
        extra.is_object() && extra.contains("adapter"))
      if (extra["adapter"].is_object()) summary.update(extra["adapter"]);
  for (const char* key : kSummary)
    if (summary.contains(key) && says_something(summary.at(key))) report.add(key, summary.at(key));

  const SafetensorsFile file(folder / "adapter_model.safetensors");
  int64_t stored = 0;
  for (const TensorInfo& t : file.tensors()) stored += element_count(t);
  std::error_code error;
  const auto bytes = fs::file_size(folder / "adapter_model.safetensors", error);
  report.add("parameters", stored,
             fmt::format("{} stored in {} tensors", with_commas(stored), file.tensors().size()));
  report.add("types", type_counts(file.tensors()), type_mix(type_counts(file.tensors())));
  report.add("bytes", bytes, human_bytes(static_cast<double>(bytes)));
  if (fs::exists(folder / "prompt_encoder.safetensors")) {
    int64_t encoder = 0;
    const SafetensorsFile parameters(folder / "prompt_encoder.safetensors");
    for (const TensorInfo& t : parameters.tensors()) encoder += element_count(t);
    report.add("prompt_encoder", encoder,
               fmt::format("{} parameters: training can go on from it (init_from)", with_commas(encoder)));
  }
  if (!all_finite(file)) report.add("finite", false, "no: some values are infinite or NaN");
  const auto holds = [&](std::string_view part) {
    return std::any_of(file.tensors().begin(), file.tensors().end(),
                       [&](const TensorInfo& t) { return t.name.find(part) != std::string::npos; });
  };
  const bool pairs = holds("lora_B");
  if (pairs || holds(".ia3_l")) {  // of others only the base could tell
    const bool nothing = changes_nothing(folder);
    report.add("changes_the_base", !nothing,
               !nothing ? "yes"
               : pairs  ? "no: every lora_B is zero"
                        : "no: every ia3_l is one");
  }
  if (fs::exists(folder / "ftengine.json")) {
    const Json origin = read_json_file(folder / "ftengine.json");
    for (const char* key : {"base_fingerprint", "template", "stop_ids", "golden_prompt_ids"})
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
