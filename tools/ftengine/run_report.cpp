#include "tools/ftengine/run_report.h"

#include <cstdio>
#include <set>

#include "engine/core/memory.h"
#include "engine/io/json.h"
#include "engine/io/text_file.h"
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

struct Sizes {
  int64_t base = 0, trained = 0, total = 0, stored = 0;  // parameters
  size_t bytes = 0;                                      // of the base in memory
};

Sizes sizes(const RunSubject& r) {
  Sizes s;
  std::set<const Parameter*> all;
  for (const Parameter* p : distinct_parameters(*r.loaded.model)) {
    s.base += p->numel();
    s.bytes += p->value.bytes();
    all.insert(p);
  }
  for (const Parameter* p : r.adapters.trainables()) {
    s.trained += p->numel();
    all.insert(p);
  }
  for (const Parameter* p : all) s.total += p->numel();
  for (const AdapterTensor& t : r.adapters.tensors()) s.stored += t.parameter->numel();
  if (r.adapters.full()) s.stored = s.base;
  return s;
}

using Facts = std::vector<std::pair<std::string, std::string>>;

Facts start_facts(const RunSubject& r) {
  const Experiment& e = r.experiment;
  const Sizes s = sizes(r);
  const DataReport& d = r.train.report;
  Facts facts = {
      {"model", fmt::format("{}: {}, {} parameters, frozen ones as {} ({})", e.model.path.filename().string(),
                            r.loaded.model->facts().model_type, with_commas(s.base),
                            dtype_name(r.loaded.storage), human_bytes(static_cast<double>(s.bytes)))},
      {"adapter", fmt::format("{}: trainable {} of {} ({:.3f} %), stored {} ({})", r.adapters.describe(),
                              with_commas(s.trained), with_commas(s.total),
                              100.0 * static_cast<double>(s.trained) / static_cast<double>(s.total),
                              with_commas(s.stored), human_bytes(4.0 * static_cast<double>(s.stored)))},
      {"data", fmt::format("{} rows, {} tokens, {} of them targets, longest {}{}", with_commas(d.rows),
                           with_commas(d.tokens), with_commas(d.targets), d.longest,
                           r.prompt_template ? ", template " + r.prompt_template->name() : "")}};
  return facts;
}

Facts eval_facts(const RunSubject& r) {
  Facts facts;
  for (const auto& [name, set] : r.evals)
    facts.emplace_back("eval", fmt::format("{}{} rows, {} targets", name.empty() ? "" : name + ": ",
                                           with_commas(set.report.rows), with_commas(set.report.targets)));
  return facts;
}

void print_facts(const Facts& facts) {
  for (const auto& [key, value] : facts) fmt::print(stderr, "{:<8} {}\n", key, value);
}

std::string pace(const TrainResult& result) {
  return fmt::format("{} steps in {}, {:.0f} tokens/s, peak memory {}", result.steps,
                     human_time(result.seconds), result.tokens_per_second,
                     human_bytes(static_cast<double>(peak_resident_bytes())));
}

/// As a person in the working folder would name it.
std::string shown(const std::filesystem::path& folder) {
  const std::filesystem::path relative = std::filesystem::proximate(folder);
  return (*relative.begin() == ".." ? std::filesystem::absolute(folder).lexically_normal() : relative)
      .string();
}

std::vector<std::pair<std::string, double>> peaks() {
  std::vector<std::pair<std::string, double>> all;
  const auto use = memory_use();
  for (int c = 0; c < kMemoryClasses; ++c)
    all.emplace_back(memory_class_name(static_cast<MemoryClass>(c)), static_cast<double>(use[c].peak));
  all.emplace_back("the whole process", static_cast<double>(peak_resident_bytes()));
  return all;
}

std::vector<Json> rows(const std::filesystem::path& metrics) {
  std::vector<Json> all;
  JsonlReader reader(metrics);
  for (Json row; reader.next(row);) all.push_back(row);
  return all;
}

}  // namespace

void print_start(const RunSubject& r) {
  fmt::print(stderr, "ftengine {} on {}\n", version_number(), r.machine);
  print_facts(start_facts(r));
  print_warnings(r.train.report);
  for (const Adapter* a : r.adapters.all())
    for (const std::string& note : a->notes()) fmt::print(stderr, "warning: {}\n", note);
  print_facts(eval_facts(r));
}

void print_end(const RunSubject& r, const TrainResult& result) {
  const std::string dir = shown(r.experiment.training.output_dir);
  const std::string model = r.experiment.model.path.string();
  fmt::print(stderr, "\n{}\n", pace(result));
  if (r.adapters.full()) {
    fmt::print(stderr, "model: {}\nask it: ftengine generate --model {} --prompt \"...\"\n", dir, dir);
    return;
  }
  fmt::print(stderr,
             "adapter: {}\n"
             "ask it: ftengine generate --model {} --adapter {} --prompt \"...\"\n",
             dir, model, dir);
  if (r.adapters.mergeable())
    fmt::print(stderr, "merge:  ftengine merge --model {} --adapter {} --out merged\n", model, dir);
}

void write_report(const RunSubject& r, const TrainResult& result, std::vector<SampleAnswers> samples,
                  std::string resolved) {
  const std::filesystem::path& dir = r.experiment.training.output_dir;
  Facts facts = start_facts(r);
  for (auto& fact : eval_facts(r)) facts.push_back(std::move(fact));
  facts.emplace_back("machine", r.machine);
  for (const auto& [metric, value] : result.last_eval)
    facts.emplace_back("last " + metric, fmt::format("{:.4f}", value));
  RunReport page{.title = fmt::format("{}: {} on {}", (dir / "").parent_path().filename().string(),
                                      r.adapters.describe(), r.experiment.model.path.filename().string()),
                 .outcome = (result.interrupted ? "interrupted after " : "finished: ") + pace(result),
                 .facts = std::move(facts),
                 .metrics = rows(dir / "metrics.jsonl"),
                 .memory = peaks(),
                 .samples = std::move(samples),
                 .resolved = std::move(resolved)};
  write_text_file(dir / "report.html", report_html(page));
}

}  // namespace ft
