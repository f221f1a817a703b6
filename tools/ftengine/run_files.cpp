#include "tools/ftengine/run_files.h"

#include <cerrno>
#include <optional>
#include <string>
#include <vector>

#include "engine/config/json.h"
#include "engine/data/open_tokenizer.h"
#include "engine/io/text_file.h"
#include "engine/train/checkpoint.h"
#include "engine/train/plan.h"
#include "engine/train/space.h"
#include "tools/ftengine/output_dir.h"

namespace ft {
namespace {

namespace fs = std::filesystem;

nlohmann::ordered_json rendering(const RunSubject& r) {
  if (!r.prompt_template) return {};
  const ConfigNode& node = r.experiment.data.prompt_template;
  const auto ids = r.prompt_template->stop_ids();
  nlohmann::ordered_json json;
  json["template"] = node.is_null() ? nlohmann::ordered_json(r.prompt_template->name()) : to_json(node);
  json["stop_ids"] = std::vector<int32_t>(ids.begin(), ids.end());
  json["golden_prompt_ids"] = r.prompt_template->golden_prompt_ids();
  return json;
}

}  // namespace

void save_weights(const RunSubject& r, const fs::path& folder, bool checkpoint) {
  if (!r.adapters.full()) {
    save_stack(r.adapters, folder, {r.experiment.model.path.string(), r.loaded.fingerprint, rendering(r)},
               checkpoint);
    return;
  }
  save_model(*r.loaded.model, folder, DType::f32, r.loaded.model->facts().tied,
             [](const Slot& s) { return to_plain(*s.parameter); });
  if (r.prompt_template) write_text_file(folder / "ftengine.json", rendering(r).dump(2) + "\n");
}

void load_weights(const RunSubject& r, const fs::path& folder, CpuStream& host) {
  if (r.adapters.full())
    reload_model(*r.loaded.model, folder, host);
  else
    load_stack_tensors(r.adapters, folder);
}

void save_companions(const RunSubject& r, const Tokenizer* tokenizer, const fs::path& folder) {
  const ModelSection& model = r.experiment.model;
  if (tokenizer && model.is_gguf()) tokenizer->write_tokenizer_json(folder);
  if (model.is_gguf()) return;
  const auto copy = [&](const char* name) {
    if (fs::exists(model.path / name)) write_text_file(folder / name, read_text_file(model.path / name));
  };
  for (const char* name : tokenizer_file_names()) copy(name);
  copy("generation_config.json");
}

void check_disk(const RunSubject& r, const fs::path& checkpoint, bool overwrite) {
  const TrainingSection& t = r.experiment.training;
  const std::optional<double> free = free_bytes(t.output_dir);
  if (!free) return;
  const StepPlan steps(r.train.rows, t, r.experiment.data.shuffle);
  DiskPlan plan{.saves = planned_saves(t, steps.total_steps(), steps.steps_per_epoch(),
                                       checkpoint.empty() ? 0 : checkpoint_step(checkpoint)),
                .saves_none = t.save_strategy == SaveStrategy::no,
                .limit = t.save_total_limit,
                .keeps_best = !r.evals.empty()};
  const int states = t.optim == OptimizerType::adamw ? 2 : t.momentum > 0 ? 1 : 0;
  for (const Parameter* p : r.adapters.trainables())
    plan.optimizer += states * static_cast<double>(p->value.bytes());
  const auto stored = [&](const Parameter& p) { plan.weights += 4.0 * static_cast<double>(p.numel()); };
  for (const AdapterTensor& a : r.adapters.tensors()) stored(*a.parameter);
  for (const Adapter* adapter : r.adapters.all())
    for (const AdapterTensor& a : adapter->encoder_tensors()) stored(*a.parameter);
  if (r.adapters.full())
    for (const Parameter* p : distinct_parameters(*r.loaded.model)) stored(*p);
  check_space(plan, *free + (overwrite ? clearable_bytes(t.output_dir) : 0), t.output_dir);
}

void explain(const WriteError& e, const fs::path& output_dir) {
  const auto checkpoints = list_checkpoints(output_dir);
  const bool full = e.error() == ENOSPC || e.error() == EDQUOT || e.error() == EFBIG;
  fail("{}: cannot write: {}; {}, then {}", e.path().string(), errno_text(e.error()),
       full ? "make room" : "see to it",
       checkpoints.empty() ? "start again with --overwrite (there was no checkpoint yet)"
                           : fmt::format("go on with --resume: {} is whole", checkpoints.back().string()));
}

}  // namespace ft
