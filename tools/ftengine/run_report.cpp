#include "tools/ftengine/run_report.h"

#include <cstdio>
#include <set>

#include "engine/core/memory.h"
#include "engine/train/checkpoint.h"
#include "engine/train/progress.h"
#include "tools/ftengine/version.h"

namespace ft {
namespace {

void print_warnings(const DataReport& d) {
  const auto warn = [](int64_t rows, const std::string& text) {
    if (rows) fmt::print(stderr, "warning: {} {}\n", rows, text);
  };
  warn(d.cut, "samples were longer than data.max_length and were cut");
  warn(d.dropped, "samples were longer than data.max_length and were dropped");
  warn(d.skipped, "bad rows were skipped");
  warn(d.without_target,
       fmt::format("rows have nothing to learn (no target left) and were left out; first lines: {}",
                   fmt::join(d.without_target_lines, ", ")));
}

}  // namespace

void print_start(const RunSubject& r) {
  const Experiment& e = r.experiment;
  std::set<const Parameter*> all;
  int64_t base = 0, trained = 0, stored = 0, total = 0;
  size_t bytes = 0;
  for (const Parameter* p : distinct_parameters(*r.loaded.model)) {
    base += p->numel();
    bytes += p->value.bytes();
    all.insert(p);
  }
  for (const Parameter* p : r.adapter.trainables()) {
    trained += p->numel();
    all.insert(p);
  }
  for (const Parameter* p : all) total += p->numel();
  for (const AdapterTensor& t : r.adapter.tensors()) stored += t.parameter->numel();
  if (r.adapter.peft_type() == "NONE") stored = base;

  fmt::print(stderr, "ftengine {} on cpu ({}, {} threads)\n", version_number(), instruction_set(), r.threads);
  fmt::print(stderr, "model    {}: {}, {} parameters, frozen ones as {} ({})\n",
             e.model.path.filename().string(), r.loaded.model->facts().model_type, with_commas(base),
             dtype_name(r.loaded.storage), human_bytes(static_cast<double>(bytes)));
  fmt::print(stderr, "adapter  {}: trainable {} of {} ({:.3f} %), stored {} ({})\n", r.adapter.peft_type(),
             with_commas(trained), with_commas(total),
             100.0 * static_cast<double>(trained) / static_cast<double>(total), with_commas(stored),
             human_bytes(4.0 * static_cast<double>(stored)));
  const DataReport& d = r.train.report;
  fmt::print(stderr, "data     {} rows, {} tokens, {} of them targets, longest {}{}\n", with_commas(d.rows),
             with_commas(d.tokens), with_commas(d.targets), d.longest,
             r.prompt_template ? ", template " + r.prompt_template->name() : "");
  print_warnings(d);
  for (const auto& [name, set] : r.evals)
    fmt::print(stderr, "eval     {}{} rows, {} targets\n", name.empty() ? "" : name + ": ",
               with_commas(set.report.rows), with_commas(set.report.targets));
}

void print_end(const RunSubject& r, const TrainResult& result) {
  const std::string dir = std::filesystem::proximate(r.experiment.training.output_dir).string();
  const std::string model = r.experiment.model.path.string();
  fmt::print(stderr, "\n{} steps in {}, {:.0f} tokens/s, peak memory {}\n", result.steps,
             human_time(result.seconds), result.tokens_per_second,
             human_bytes(static_cast<double>(peak_resident_bytes())));
  if (r.adapter.peft_type() == "NONE") {
    fmt::print(stderr, "model: {}\nask it: ftengine generate --model {} --prompt \"...\"\n", dir, dir);
    return;
  }
  fmt::print(stderr,
             "adapter: {}\n"
             "ask it: ftengine generate --model {} --adapter {} --prompt \"...\"\n"
             "merge:  ftengine merge --model {} --adapter {} --out merged\n",
             dir, model, dir, model, dir);
}

}  // namespace ft
