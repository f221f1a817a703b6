#include "tools/ftengine/check_report.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "engine/data/dataset_formats.h"
#include "engine/io/json.h"
#include "engine/io/printable.h"
#include "engine/io/terminal.h"
#include "engine/train/plan.h"
#include "engine/train/progress.h"
#include "tools/ftengine/run_data.h"

namespace ft {
namespace {

constexpr int kJoined = 200;  // rows of a file whose joint tokenisation is looked at

struct RoleStyle {
  const char *name, *colour, *meaning;
};
constexpr RoleStyle kSystem = {"system", "\033[33m", "the system message"},
                    kUser = {"user", "\033[36m", "what is asked"},
                    kAssistant = {"assistant", "\033[32m", "what is answered"},
                    kOther = {"other", "\033[34m", "a tool or another role"},
                    kMarkup = {"template", "\033[2m", "what the template writes around them"},
                    kEnd = {"end", "\033[35m", "the answer's end token"},
                    kText = {"text", "", "rows without a template"};
constexpr const char* kLearnt = "\033[1;4m";

RoleStyle style(const NewRow& row, size_t i) {
  if (row.role.empty()) return kText;
  if (row.role[i] == TokenRole::end) return kEnd;
  switch (row.speaker[i]) {
    case Speaker::markup:
      return kMarkup;
    case Speaker::system:
      return kSystem;
    case Speaker::user:
      return kUser;
    case Speaker::assistant:
      return kAssistant;
    case Speaker::other:
      return kOther;
  }
  return kMarkup;
}

/// `text` as the role is painted, and as what is learnt from.
std::string painted(const RoleStyle& role, bool learnt, const std::string& text) {
  if (!takes_colour(STDOUT_FILENO)) return text;
  return fmt::format("{}{}{}\033[0m", role.colour, learnt ? kLearnt : "", text);
}

void print_legend() {
  std::vector<std::string> roles;
  for (const RoleStyle& role : {kSystem, kUser, kAssistant, kOther, kMarkup, kEnd, kText})
    roles.push_back(painted(role, false, fmt::format("{} = {}", role.name, role.meaning)));
  fmt::print("\nroles: {}; {}, 0: only read\n", fmt::join(roles, ", "),
             painted(kText, true, "weight 1: learnt"));
}

/// The token as people read it: its text in quotes.
std::string shown(const Tokenizer* tokenizer, int32_t id) {
  if (!tokenizer) return {};
  std::string text = tokenizer->decode({&id, 1}, false);
  for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) text.replace(at, 1, "\\n");
  return "\"" + printable(text, 60) + "\"";
}

void print_sample(const NewRow& row, const Tokenizer* tokenizer, const CheckOptions& options) {
  const auto learnt =
      std::count_if(row.labels.begin(), row.labels.end(), [](int32_t l) { return l != kNoTarget; });
  fmt::print("\n{}: {} tokens, {} of them learnt{}\n", row.where, row.ids.size(), learnt,
             row.template_name.empty() ? "" : ", template " + row.template_name);
  fmt::print("  position      id  role       weight  token\n");
  // The middle of a long sample is left out, but never its last tokens.
  const size_t n = row.ids.size(), most = static_cast<size_t>(std::max(options.tokens, 8));
  for (size_t i = 0; i < n; ++i) {
    if (n > most && i == most / 2) {
      fmt::print("  … {} tokens …\n", n - most);
      i += n - most;
    }
    const RoleStyle role = style(row, i);
    const bool learnt_here = row.labels[i] != kNoTarget;
    fmt::print("{}\n", painted(role, learnt_here,
                               fmt::format("  {:>8} {:>7}  {:<9}  {:>5}   {}", i, row.ids[i], role.name,
                                           learnt_here ? 1 : 0, shown(tokenizer, row.ids[i]))));
  }
}

/// Where tokenising prompt and answer in one piece would give other ids than these.
class JointTokens {
 public:
  void look(const NewRow& row, const Tokenizer& tokenizer) {
    if (row.text.empty()) return;
    std::vector<int32_t> joint = tokenizer.encode(row.text);
    const auto prefix = tokenizer.prefix_ids();
    if (joint.size() < prefix.size() || !std::equal(prefix.begin(), prefix.end(), joint.begin()))
      joint.insert(joint.begin(), prefix.begin(), prefix.end());
    ++rows_;
    const auto [a, b] = std::mismatch(row.ids.begin(), row.ids.end(), joint.begin(), joint.end());
    if (a == row.ids.end() && b == joint.end()) return;
    if (different_++ > 0) return;
    const auto some = [&](auto from, auto end) {
      std::string text;
      for (int i = 0; i < 3 && from != end; ++i, ++from) text += " " + shown(&tokenizer, *from);
      return text;
    };
    first_ = fmt::format("{}: at token {}:{} here,{} jointly", row.where, a - row.ids.begin(),
                         some(a, row.ids.end()), some(b, joint.end()));
  }
  void print() const {
    if (rows_ == 0) return;
    fmt::print("\njoint tokenisation of prompt and answer would differ in {} of {} rows looked at\n",
               different_, rows_);
    if (different_ > 0)
      fmt::print("  {}\n  (they are tokenised apart, as in generation, where the answer is not known yet)\n",
                 first_);
  }

 private:
  int rows_ = 0, different_ = 0;
  std::string first_;
};

void print_samples(const RunSubject& r, const CheckOptions& options) {
  RunData data;
  open_text(r.experiment, data);
  DatasetOptions o = dataset_options(r.experiment, data, r.loaded.model->facts(),
                                     room_for_samples(r.loaded.model->facts(), r.adapters.all()));
  o.cache_dir.clear();
  o.speakers = true;
  if (options.samples > 0) print_legend();
  JointTokens joint;
  for (const DataSet& set : r.experiment.data.train) {
    DataReport ignored;
    int seen = 0;
    read_rows(set, o, ignored, [&](NewRow&& row) {
      if (seen < options.samples) print_sample(row, data.tokenizer.get(), options);
      if (data.tokenizer) joint.look(row, *data.tokenizer);
      return ++seen < std::max(options.samples, kJoined);
    });
  }
  joint.print();
}

void line(std::string_view key, const std::string& value) {
  fmt::print("  {:<16} {}\n", key, value);
}

void print_statistics(const RunSubject& r, double learning_rate) {
  const DataReport& d = r.train.report;
  const TrainingSection& t = r.experiment.training;
  const StepPlan plan(r.train.rows, t, false);
  const auto percent = [](int64_t part, int64_t whole) {
    return fmt::format("{} ({:.1f} %)", with_commas(part),
                       whole ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : 0.0);
  };
  fmt::print("\ntraining data: {}\n", r.train.source);
  line("rows",
       with_commas(d.rows) + (d.split ? fmt::format(", {} of them for answers whose past the template "
                                                    "rewrites",
                                                    with_commas(d.split))
                                      : ""));
  line("tokens", with_commas(d.tokens));
  line("targets", percent(d.targets, d.tokens));
  line("longest", fmt::format("{} tokens", d.longest));
  line("cut", percent(d.cut, d.rows));
  line("dropped", with_commas(d.dropped));
  line("skipped", with_commas(d.skipped) + (d.skipped ? ": " + printable(d.first_skipped, 200) : ""));
  line(
      "without target",
      with_commas(d.without_target) +
          (d.without_target ? fmt::format(", first lines {}", fmt::join(d.without_target_lines, ", ")) : ""));
  for (const auto& [name, set] : r.evals)
    line(name.empty() ? "evaluation" : "eval " + name,
         fmt::format("{} rows, {} targets", with_commas(set.report.rows), with_commas(set.report.targets)));
  const int64_t rows = t.per_device_train_batch_size * t.gradient_accumulation_steps;
  fmt::print("training\n");
  line("effective batch", fmt::format("{} rows ({} x {} accumulated), about {} tokens", rows,
                                      t.per_device_train_batch_size, t.gradient_accumulation_steps,
                                      with_commas(d.tokens * rows / std::max<int64_t>(d.rows, 1))));
  line("steps", fmt::format("{}, {} an epoch, {} of warm-up", with_commas(plan.total_steps()),
                            with_commas(plan.steps_per_epoch()), with_commas(t.warmup(plan.total_steps()))));
  line("learning rate", fmt::format("{:g}, {}", learning_rate, name_of(t.lr_scheduler_type)));
  if (!r.prompt_template) return;
  std::vector<std::string> ends;
  for (const int32_t id : r.prompt_template->stop_ids())
    ends.push_back(fmt::format("{} ({})", id, printable(r.prompt_template->tokenizer().id_to_token(id), 40)));
  line("template",
       r.prompt_template->name() + "; answers end with " + fmt::format("{}", fmt::join(ends, ", ")));
}

/// Code in a model's folder.
void warn_of_code(const std::filesystem::path& folder) {
  std::error_code none;
  if (!std::filesystem::is_directory(folder, none)) return;
  for (const char* name : {"config.json", "tokenizer_config.json"}) {
    if (!std::filesystem::exists(folder / name, none)) continue;
    const Json json = read_json_file(folder / name);
    if (json.is_object() && json.contains("auto_map"))
      fmt::print(
          "warning: {} names code of the model's own (auto_map); it is never run here, the architecture is "
          "ftengine's\n",
          (folder / name).string());
  }
}

}  // namespace

void report_check(const RunSubject& r, double learning_rate, const CheckOptions& options) {
  warn_of_code(r.experiment.model.path);
  print_samples(r, options);
  print_statistics(r, learning_rate);
  for (const std::string& hint : learning_hints(r, learning_rate)) fmt::print("hint: {}\n", hint);
  fmt::print("\n{}: everything fits; nothing was trained\n", r.experiment.yaml.string());
}

}  // namespace ft
