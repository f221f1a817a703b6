// ftengine verify: is this adapter whole, does it fit this model, does it do anything, and will it be asked
// as it was trained? One line a question; the answer to all of them is the exit code.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "adapters/stack.h"
#include "engine/data/open_tokenizer.h"
#include "engine/io/json.h"
#include "engine/io/printable.h"
#include "tools/ftengine/commands.h"
#include "tools/ftengine/merge_files.h"
#include "tools/ftengine/probe.h"
#include "tools/ftengine/session.h"

namespace ft {
namespace fs = std::filesystem;
namespace {

struct Args {
  fs::path model, adapter;
  std::string device = "auto";
  bool json = false;
  int threads = 0;
};

enum class Verdict { yes, no, unknown };  // unknown: nothing was recorded to compare with

class Findings {
 public:
  /// Asks; an InputError of the answer is a no with its reason.
  void ask(const std::string& question, const std::function<std::pair<Verdict, std::string>()>& answer) {
    std::pair<Verdict, std::string> found;
    try {
      found = answer();
    } catch (const InputError& e) {
      found = {Verdict::no, printable(e.what(), 500)};
    }
    failed_ |= found.first == Verdict::no;
    all_.push_back({question, found.first, found.second});
  }
  bool failed() const { return failed_; }
  std::string text() const {
    std::string lines;
    for (const Finding& f : all_)
      lines += fmt::format("{:<7} {:<9} {}\n", word(f.verdict), f.question, f.reason);
    return lines;
  }
  nlohmann::ordered_json json() const {
    nlohmann::ordered_json checks;
    for (const Finding& f : all_) checks[f.question] = {{"verdict", word(f.verdict)}, {"reason", f.reason}};
    return {{"ok", !failed_}, {"checks", checks}};
  }

 private:
  struct Finding {
    std::string question;
    Verdict verdict;
    std::string reason;
  };
  static const char* word(Verdict v) {
    return v == Verdict::yes ? "ok" : v == Verdict::no ? "WRONG" : "unknown";
  }
  std::vector<Finding> all_;
  bool failed_ = false;
};

using Answer = std::pair<Verdict, std::string>;

Answer same_tokenizer(const fs::path& model, const fs::path& adapter) {
  if (!has_tokenizer(adapter))
    return {Verdict::unknown, "the adapter's folder has none: the model's is used"};
  if (!has_tokenizer(model)) return {Verdict::unknown, "the model has none: the adapter's is used"};
  const auto own = open_tokenizer(adapter), base = open_tokenizer(model);
  if (own->vocab_size() != base->vocab_size())
    return {Verdict::no, fmt::format("the adapter's has {} tokens, the model's {}", own->vocab_size(),
                                     base->vocab_size())};
  ModelFacts all;
  all.vocab = all.max_positions = INT32_MAX;
  if (probe_prompts(own.get(), all) != probe_prompts(base.get(), all) || own->eos_id() != base->eos_id())
    return {Verdict::no, "the adapter's and the model's give other ids for the same text"};
  return {Verdict::yes, fmt::format("{} tokens, equal ids", own->vocab_size())};
}

/// How the adapter is asked here; null where nothing of it was recorded.
std::shared_ptr<const Template> template_here(const Args& args, const RecordedText& recorded) {
  if (recorded.prompt_template.is_null()) return nullptr;
  return open_template(recorded.prompt_template,
                       open_tokenizer(has_tokenizer(args.adapter) ? args.adapter : args.model));
}

Answer same_template(const RecordedText& recorded, const Template* here) {
  if (!here) return {Verdict::unknown, "none was recorded: it was trained on ids"};
  if (!renders_as_recorded(recorded, *here))
    return {Verdict::no, fmt::format("{} renders prompts otherwise than in training", here->name())};
  return {Verdict::yes, here->name()};
}

Answer same_stop_ids(const RecordedText& recorded, const Template* here, int64_t vocab) {
  if (recorded.stop_ids.empty()) return {Verdict::unknown, "none were recorded"};
  for (const int32_t id : recorded.stop_ids)
    if (id >= vocab) return {Verdict::no, fmt::format("the id {} is not one of the model's {}", id, vocab)};
  const std::string shown = fmt::format("{}", fmt::join(recorded.stop_ids, ", "));
  if (!here && !recorded.prompt_template.is_null())
    return {Verdict::no, "the template that was recorded does not open here"};
  if (!here) return {Verdict::yes, shown};
  const auto ends = here->stop_ids();
  if (!std::equal(ends.begin(), ends.end(), recorded.stop_ids.begin(), recorded.stop_ids.end()))
    return {Verdict::no,
            fmt::format("trained with {}, the template ends with {} today", shown, fmt::join(ends, ", "))};
  return {Verdict::yes, shown};
}

void run(const Args& args) {
  std::error_code ignored;
  if (!fs::exists(args.model, ignored))
    bad_input("{}: no such model; give a Hugging Face folder or a .gguf file", args.model.string());
  if (!fs::exists(args.adapter / "adapter_config.json", ignored) &&
      !fs::exists(args.adapter / "ftengine.json", ignored))  // which names the adapters of a hybrid
    bad_input("{}: no adapter_config.json; give the folder of an adapter", args.adapter.string());
  Session session(args.device, args.threads);
  LoadedModel loaded =
      load_model(args.model, {.storage = std::nullopt, .device = session.device()}, session.host());
  Model& model = *loaded.model;
  const auto tokenizer = has_tokenizer(args.model) ? open_base_tokenizer(args.model) : nullptr;
  const Prompts prompts = probe_prompts(tokenizer.get(), model.facts());
  const std::vector<float> plain = probe_logits(model, {}, session.stream(), prompts);

  Findings findings;
  AdapterStack adapters;
  findings.ask("fits", [&]() -> Answer {
    adapters = load_stack({&args.adapter, 1}, model, loaded.fingerprint,
                          {.device = session.device(), .training = false, .where = args.adapter.string()});
    return {Verdict::yes, fmt::format("{}, {} tensors, every one in its place", adapters.describe(),
                                      adapters.tensors().size())};
  });
  findings.ask("base", [&]() -> Answer {
    if (!fs::exists(args.adapter / "ftengine.json"))
      return {Verdict::unknown, "PEFT's files do not record it"};
    const Json origin = read_json_file(args.adapter / "ftengine.json");
    const auto found = origin.is_object() ? origin.find("base_fingerprint") : origin.end();
    if (!origin.is_object() || found == origin.end() || !found->is_string())
      return {Verdict::unknown, "not recorded"};
    if (*found != loaded.fingerprint)
      return {Verdict::no, fmt::format("made for {}, this model is {}",
                                       printable(found->get<std::string>(), 40), loaded.fingerprint)};
    return {Verdict::yes, "fingerprint " + loaded.fingerprint};
  });
  findings.ask("effect", [&]() -> Answer {
    if (adapters.empty()) return {Verdict::unknown, "it does not fit"};
    const LogitDifference d = compare_logits(
        plain, probe_logits(model, adapters.all(), session.stream(), prompts), model.facts().vocab);
    if (!std::isfinite(d.largest)) return {Verdict::no, "the logits are not finite"};
    if (d.largest == 0) return {Verdict::no, "it changes nothing: the logits are the base's own"};
    return {Verdict::yes, fmt::format("moves logits by up to {:.2g}, the likeliest token in {} of {} places",
                                      d.largest, d.rows - d.same_top, d.rows)};
  });
  RecordedText recorded;
  std::shared_ptr<const Template> here;
  findings.ask("tokenizer", [&] { return same_tokenizer(args.model, args.adapter); });
  findings.ask("template", [&] {
    recorded = recorded_text(args.adapter);
    here = template_here(args, recorded);
    return same_template(recorded, here.get());
  });
  findings.ask("stop ids", [&] { return same_stop_ids(recorded, here.get(), model.facts().vocab); });

  const std::string text = args.json ? findings.json().dump(2) + "\n" : findings.text();
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
  if (findings.failed()) fail("{}: not as it should be", args.adapter.string());
}

}  // namespace

void register_verify(CLI::App& app) {
  auto args = std::make_shared<Args>();
  CLI::App* c =
      app.add_subcommand("verify", "is an adapter whole, does it fit its model, and does it do anything?");
  c->add_option("--model", args->model, "Hugging Face folder or .gguf file")->required();
  c->add_option("--adapter", args->adapter, "adapter folder in PEFT's format")->required();
  c->add_flag("--json", args->json, "one object on stdout: {ok, checks: {NAME: {verdict, reason}}}");
  c->add_option("--device", args->device, "auto, cpu, cuda, cuda:N or cuda-sim");
  c->add_option("--threads", args->threads, "default: FT_NUM_THREADS, else the processors there are")
      ->check(CLI::Range(1, 1024));
  c->footer(
      "Exit codes: 0 all is well (what was not recorded cannot be wrong), 1 something is wrong, 2 no such "
      "files.");
  c->callback([args] { run(*args); });
}

}  // namespace ft
