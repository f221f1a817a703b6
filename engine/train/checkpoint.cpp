#include "engine/train/checkpoint.h"

#include <algorithm>

#include "engine/config/yaml.h"
#include "engine/core/rng.h"
#include "engine/io/atomic_file.h"
#include "engine/io/atomic_folder.h"
#include "engine/io/json.h"
#include "engine/io/printable.h"
#include "engine/io/safetensors.h"
#include "engine/io/text_file.h"

namespace ft {
namespace {

constexpr std::string_view kPrefix = "checkpoint-", kState = "trainer_state.json",
                           kOptimizer = "optimizer.safetensors", kResolved = "resolved.yaml";

// Settings that may change between a run and its continuation: they shape what is told, kept or where, not
// training.
bool may_change(const std::string& key) {
  for (const char* free :
       {"ftengine", "generation", "device", "data.cache_dir", "training.output_dir", "training.logging",
        "training.save_", "training.eval_", "training.per_device_eval_batch_size", "training.early_stopping"})
    if (key.starts_with(free)) return true;
  return false;
}

// Every setting that differs, as "key: a then, b now", in the order of `now` and then of what it lacks.
void differences(const ConfigNode& then, const ConfigNode& now, const std::string& key,
                 std::vector<std::string>& out) {
  if (!key.empty() && may_change(key)) return;
  if (!then.is_map() || !now.is_map()) {
    if (!(then == now))
      out.push_back(fmt::format("{}: {} then, {} now", key, then.describe(), now.describe()));
    return;
  }
  const ConfigNode nothing;
  const auto compare = [&](const std::string& name, const ConfigNode* a, const ConfigNode* b) {
    differences(a ? *a : nothing, b ? *b : nothing, key.empty() ? name : key + "." + name, out);
  };
  for (size_t i = 0; i < now.size(); ++i) compare(now.key(i), then.find(now.key(i)), &now[i]);
  for (size_t i = 0; i < then.size(); ++i)
    if (!now.find(then.key(i))) compare(then.key(i), &then[i], nullptr);
}

// A list behind the error's first line: settings are too long to stand side by side.
std::string indented(const std::vector<std::string>& lines) {
  constexpr size_t kShown = 10;
  std::string text;
  for (size_t i = 0; i < std::min(lines.size(), kShown); ++i) text += "\n  " + printable(lines[i], 200);
  if (lines.size() > kShown) text += fmt::format("\n  … and {} more", lines.size() - kShown);
  return text;
}

}  // namespace

std::filesystem::path checkpoint_path(const std::filesystem::path& output_dir, int64_t step) {
  return output_dir / fmt::format("{}{}", kPrefix, step);
}

bool is_checkpoint(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / kState);
}

std::vector<std::filesystem::path> list_checkpoints(const std::filesystem::path& output_dir) {
  std::vector<std::pair<int64_t, std::filesystem::path>> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(output_dir, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix) || name.size() > kPrefix.size() + 12) continue;
    const std::string digits = name.substr(kPrefix.size());
    if (digits.empty() ||
        !std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; }))
      continue;
    if (is_checkpoint(entry.path())) found.emplace_back(std::stoll(digits), entry.path());
  }
  std::sort(found.begin(), found.end());
  std::vector<std::filesystem::path> paths;
  for (auto& [step, path] : found) paths.push_back(std::move(path));
  return paths;
}

void save_checkpoint(const std::filesystem::path& folder, const TrainerState& s,
                     const OptimizerState& optimizer, const WeightFiles& weights,
                     const RunIdentity& identity) {
  const nlohmann::ordered_json j = {
      {"format", 1},
      {"step", s.step},
      {"updates", optimizer.updates()},
      {"tokens", s.tokens},
      {"targets", s.targets},
      {"log_loss", s.log_loss},
      {"log_steps", s.log_steps},
      {"best", s.best ? nlohmann::ordered_json(*s.best) : nlohmann::ordered_json()},
      {"best_step", s.best_step},
      {"evals_without_gain", s.evals_without_gain},
      {"skipped", s.skipped},
      {"skipped_in_a_row", s.skipped_in_a_row},
      {"loss_scale", {{"factor", s.loss_scale.factor}, {"good_steps", s.loss_scale.good_steps}}},
      {"metrics_bytes", s.metrics_bytes},
      {"base", identity.base},
      {"data", identity.data},
      {"instruction_set", identity.instruction_set}};
  AtomicFolder target(folder);
  try {
    weights.save(target.temporary());
    write_safetensors(target.temporary() / kOptimizer, optimizer.entries(), {{"format", "ftengine"}});
    write_text_file(target.temporary() / kResolved, to_yaml(identity.resolved));
    write_text_file(target.temporary() / kState, j.dump(2) + "\n");
    target.commit();
  } catch (const WriteError& e) {
    // The hidden neighbour's name says nothing to a person, and is gone when the message is read.
    if (e.path().parent_path() != target.temporary()) throw;
    throw WriteError(folder / e.path().filename(), e.error());
  }
}

namespace {

/// The count that a checkpoint's state names `key`.
int64_t count_of(const Json& state, const char* key, const std::string& file) {
  const auto value = state.find(key);
  const auto count = value == state.end() ? std::nullopt : whole_number(*value);
  if (!count) {
    bad_input("{}: damaged: {} is {}, expected a whole number from 0 on", file, key,
              value == state.end() ? "missing" : printable(value->dump(), 40));
  }
  return *count;
}

}  // namespace

int64_t checkpoint_step(const std::filesystem::path& folder) {
  return count_of(read_json_file(folder / kState), "step", (folder / kState).string());
}

std::vector<std::string> load_checkpoint(const std::filesystem::path& folder, TrainerState& s,
                                         OptimizerState& optimizer, const WeightFiles& weights,
                                         const RunIdentity& identity, bool anyway) {
  const std::string file = (folder / kState).string();
  if (!is_checkpoint(folder)) bad_input("{}: not a checkpoint (no {})", folder.string(), kState);
  const Json j = read_json_file(folder / kState);
  const auto count = [&](const char* key) { return count_of(j, key, file); };
  int64_t updates = 0;
  std::string base, data, instructions;
  try {
    if (count("format") != 1) bad_input("{}: written by another version of ftengine", file);
    s.step = count("step");
    updates = count("updates");
    s.tokens = count("tokens");
    s.targets = count("targets");
    s.log_loss = j.at("log_loss").get<double>();
    s.log_steps = count("log_steps");
    if (!j.at("best").is_null()) s.best = j.at("best").get<double>();
    s.best_step = count("best_step");
    s.evals_without_gain = count("evals_without_gain");
    s.skipped = j.contains("skipped") ? count("skipped") : 0;
    s.skipped_in_a_row = count("skipped_in_a_row");
    if (const auto scale = j.find("loss_scale"); scale != j.end()) {  // older checkpoints have none
      s.loss_scale.factor = scale->at("factor").get<double>();
      s.loss_scale.good_steps = count_of(*scale, "good_steps", file);
      if (!(s.loss_scale.factor >= 1 && s.loss_scale.factor <= LossScale::kMost))
        bad_input("{}: damaged: a loss scale of {}", file, s.loss_scale.factor);
    }
    s.metrics_bytes = count("metrics_bytes");
    base = j.at("base").get<std::string>();
    data = j.at("data").get<std::string>();
    instructions = j.at("instruction_set").get<std::string>();
  } catch (const Json::exception& e) {
    bad_input("{}: damaged: {}", file, e.what());
  }
  if (base != identity.base)
    bad_input("{}: the checkpoint was made with another base model", folder.string());
  std::vector<std::string> warnings;
  if (data != identity.data) {
    if (!anyway)
      bad_input(
          "{}: the training data has changed since the checkpoint; start again with --overwrite, or go on "
          "all the "
          "same with --resume-anyway",
          folder.string());
    warnings.emplace_back("the training data has changed since the checkpoint");
  }
  const ConfigNode then = load_yaml(folder / kResolved);
  std::vector<std::string> changed;
  differences(then, identity.resolved, "", changed);
  if (!changed.empty()) {
    if (!anyway)
      bad_input(
          "{}: the configuration has changed since the checkpoint; restore it, start again with --overwrite, "
          "or go "
          "on all the same with --resume-anyway{}",
          folder.string(), indented(changed));
    warnings.push_back("the configuration has changed since the checkpoint" + indented(changed));
  }
  weights.load(folder);
  const SafetensorsFile state(folder / kOptimizer);
  optimizer.load(state, updates);
  if (instructions != identity.instruction_set)
    warnings.push_back(fmt::format(
        "the checkpoint was made with {} instructions, this machine has {}: results may differ in the last "
        "bits",
        instructions, identity.instruction_set));
  return warnings;
}

void prune_checkpoints(const std::filesystem::path& output_dir, int64_t limit, int64_t step,
                       int64_t best_step) {
  const std::vector<std::filesystem::path> all = list_checkpoints(output_dir);
  const std::filesystem::path best = checkpoint_path(output_dir, best_step),
                              written = checkpoint_path(output_dir, step);
  for (size_t i = 0; i + static_cast<size_t>(limit) < all.size(); ++i)
    if (all[i] != best && all[i] != written) discard_folder(all[i]);
}

int64_t forget_checkpoints_behind(const std::filesystem::path& output_dir, int64_t step) {
  int64_t removed = 0;
  for (const std::filesystem::path& c : list_checkpoints(output_dir))
    if (std::stoll(c.filename().string().substr(kPrefix.size())) > step) removed += discard_folder(c);
  return removed;
}

std::string data_fingerprint(const Dataset& data) {
  uint64_t h = 0;
  for (const DataRow& row : data.rows)
    for (size_t i = 0; i < row.ids.size(); ++i)
      h = mix_key(h, (static_cast<uint64_t>(static_cast<uint32_t>(row.ids[i])) << 32) |
                         static_cast<uint32_t>(row.labels[i]));
  return fmt::format("{:016x}", h);
}

std::string instruction_set() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl"))
    return "avx512";
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "avx2";
  return "sse2";
#else
  return "portable";
#endif
}

}  // namespace ft
