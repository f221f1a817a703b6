#include "tools/ftengine/experiment_run.h"

#include <algorithm>
#include <cstdio>
#include <optional>

#include "adapters/files.h"
#include "adapters/registry.h"
#include "engine/config/json.h"
#include "engine/config/yaml.h"
#include "engine/data/open_tokenizer.h"
#include "engine/generate/text.h"
#include "engine/io/json.h"
#include "engine/io/text_file.h"
#include "engine/train/checkpoint.h"
#include "engine/train/trainer.h"
#include "tools/ftengine/output_dir.h"
#include "tools/ftengine/run_report.h"
#include "tools/ftengine/session.h"
#include "tools/ftengine/version.h"

namespace ft {
namespace {

constexpr DType kParameters = DType::f32;  // what is trained, whatever the activations are

// Everything a run needs, opened in the order of what can fail cheaply.
class ExperimentRun {
 public:
  explicit ExperimentRun(const RunOptions& options)
      : options_(options),
        e_(load_experiment(options.yaml, options.overrides)),
        session_(e_.device, options.threads) {}

  int run() {
    refuse_unsupported();
    check_adapters();
    const TrainingSection& t = e_.training;
    std::optional<OutputDir> output;
    if (!options_.dry_run) output.emplace(t.output_dir, options_.resume, options_.overwrite);
    const std::filesystem::path checkpoint = options_.resume ? find_checkpoint() : std::filesystem::path();
    open_model();
    open_data();
    attach_adapter();
    print_start(subject());
    if (options_.dry_run) return 0;
    make_resolved();
    if (checkpoint.empty()) write_text_file(t.output_dir / "resolved.yaml", to_yaml(resolved_));

    const std::vector<std::string> before =
        checkpoint.empty() ? samples("before training") : std::vector<std::string>();
    TrainJob job{.experiment = e_,
                 .resolved = resolved_,
                 .model = *loaded_.model,
                 .trainables = adapter_->trainables(),
                 .train = train_,
                 .eval = eval_sets(),
                 .learning_rate = learning_rate_,
                 .weights = {[this](const std::filesystem::path& f) { save_weights(f); },
                             [this](const std::filesystem::path& f) { load_weights(f); }},
                 .base_fingerprint = loaded_.fingerprint,
                 .resume_from = checkpoint,
                 .interrupted = options_.interrupted};
    const TrainResult result = train(job, session_.stream(), compute());
    if (result.interrupted) {
      fmt::print(stderr, "interrupted after step {}; saved {}\ngo on with: ftengine run {} --resume\n",
                 result.steps, result.checkpoint.string(), options_.yaml.string());
      return 130;
    }
    save_weights(t.output_dir);
    save_companions(t.output_dir);
    finish(result, before);
    return 0;
  }

 private:
  void refuse_unsupported() const {
    if (e_.model.task_type != TaskType::causal_lm)
      bad_input("{}: model.task_type: {} is not supported; use CAUSAL_LM", e_.yaml.string(),
                name_of(e_.model.task_type));
    if (e_.adapters.size() > 1)
      bad_input("{}: adapter: one method at a time is supported, the list has {}", e_.yaml.string(),
                e_.adapters.size());
    if (!e_.trainable.empty())
      bad_input("{}: trainable: training by name is not supported; use adapter.peft_type", e_.yaml.string());
    if (e_.training.fp16) bad_input("{}: training.fp16 is not supported; use bf16 on CUDA", e_.yaml.string());
    if (e_.training.bf16 && session_.device() == Device())
      bad_input("{}: training.bf16 is for CUDA; the CPU computes in float32", e_.yaml.string());
    if (e_.training.loraplus_lr_ratio)
      bad_input("{}: training.loraplus_lr_ratio is not supported", e_.yaml.string());
  }

  // Of the activations.
  DType compute() const { return e_.training.bf16 ? DType::bf16 : DType::f32; }

  std::filesystem::path init_from() const {
    const ConfigNode* from = adapter_node().find("init_from");
    return from && from->is_string() ? std::filesystem::path(from->string()) : std::filesystem::path();
  }
  const ConfigNode& adapter_node() const { return e_.adapters.at(0); }

  // The method's own fields, before anything large is opened.
  void check_adapters() {
    if (e_.adapters.empty())
      bad_input("{}: no adapter; write adapter: {{peft_type: LORA}} or another method", e_.yaml.string());
    const std::filesystem::path from = init_from();
    const ConfigNode config = from.empty() ? adapter_node() : read_adapter_config(from);
    const AdapterKind& kind = find_adapter_kind(config);
    adapter_ = kind.make(config, from.empty() ? "adapter" : "", !from.empty());
    adapter_where_ = config.where();
    learning_rate_ = e_.training.learning_rate.value_or(kind.learning_rate);
  }

  std::filesystem::path find_checkpoint() const {
    if (!options_.resume_from.empty()) {
      if (!is_checkpoint(options_.resume_from))
        bad_input("{}: not a checkpoint; give a checkpoint-N folder, or --resume alone for the newest",
                  options_.resume_from.string());
      return options_.resume_from;
    }
    const auto all = list_checkpoints(e_.training.output_dir);
    if (all.empty())
      bad_input("{}: no checkpoint to resume from; start without --resume", e_.training.output_dir.string());
    return all.back();
  }

  bool needs_tokenizer() const {
    bool tokenized = e_.data.train.format == DataFormat::tokenized && e_.generation.prompts.empty();
    for (const NamedDataSet& s : e_.data.eval) tokenized &= s.set.format == DataFormat::tokenized;
    return !tokenized;
  }

  void open_data() {
    if (needs_tokenizer()) {
      tokenizer_ = open_tokenizer(e_.model.path);
      template_ = open_template(e_.data.prompt_template, tokenizer_);
    }
    const ModelFacts& facts = loaded_.model->facts();
    DatasetOptions o{.tokenizer = tokenizer_,
                     .prompt_template = template_,
                     .train_on = e_.data.train_on,
                     .max_length = e_.data.max_length.value_or(facts.position_limit),
                     .truncation = e_.data.truncation,
                     .on_bad_row = e_.data.on_bad_row,
                     .vocab = facts.vocab};
    train_ = load_dataset(e_.data.train, o);
    if (e_.data.eval_fraction > 0)
      evals_.push_back(
          {"", split_off(train_, e_.data.eval_fraction, static_cast<uint64_t>(e_.training.seed))});
    for (const NamedDataSet& s : e_.data.eval) evals_.push_back({s.name, load_dataset(s.set, o)});
  }

  void open_model() {
    loaded_ = load_model(e_.model.path,
                         {.storage = e_.model.dtype,
                          .device = session_.device(),
                          .compute = kParameters,
                          .dropout = e_.model.dropout},
                         session_.host());
  }

  void attach_adapter() {
    const AttachOptions attach{.compute = kParameters,
                               .device = session_.device(),
                               .seed = static_cast<uint64_t>(e_.training.seed),
                               .index = 0,
                               .where = adapter_where_};
    const std::filesystem::path from = init_from();
    if (!from.empty()) {
      adapter_ = load_adapter(from, *loaded_.model, loaded_.fingerprint, attach);
    } else {
      adapter_->attach(*loaded_.model, attach);
    }
  }

  RunSubject subject() const {
    return {e_, loaded_, *adapter_, template_.get(), train_, evals_, session_.threads()};
  }

  bool full() const { return adapter_->peft_type() == "NONE"; }

  // resolved.yaml: running it again repeats the run.
  void make_resolved() {
    Experiment r = e_;
    r.training.learning_rate = learning_rate_;
    if (init_from().empty() && !full()) {
      ConfigNode adapter = ConfigNode::map();
      const nlohmann::ordered_json config = adapter_->config_json("");
      for (const auto& [key, value] : config.items()) {
        if (value.is_null() || key == "base_model_name_or_path" || key == "inference_mode" ||
            key == "task_type")
          continue;
        adapter.set(key, from_json(nlohmann::ordered_json(value), nullptr));
      }
      r.adapters = {adapter};
    }
    if (template_ && r.data.prompt_template.is_null()) r.data.prompt_template = template_->name();
    resolved_ = to_resolved(r);
    ConfigNode about = ConfigNode::map();
    about.set("version", version_number());
    about.set("commit", commit());
    about.set("instruction_set", instruction_set());
    about.set("base_fingerprint", loaded_.fingerprint);
    resolved_.set("ftengine", about);
  }

  std::vector<EvalSet> eval_sets() const {
    std::vector<EvalSet> sets;
    for (const auto& [name, set] : evals_)
      sets.push_back({name.empty() ? "eval_loss" : "eval_" + name + "_loss", &set});
    return sets;
  }

  void save_weights(const std::filesystem::path& folder) {
    if (full()) {
      save_model(*loaded_.model, folder, DType::f32, loaded_.model->facts().tied,
                 [](const Slot& s) { return to_plain(*s.parameter); });
      return;
    }
    nlohmann::ordered_json rendering;
    if (template_) {
      rendering["template"] = e_.data.prompt_template.is_null() ? nlohmann::ordered_json(template_->name())
                                                                : to_json(e_.data.prompt_template);
      rendering["stop_ids"] =
          std::vector<int32_t>(template_->stop_ids().begin(), template_->stop_ids().end());
    }
    save_adapter(*adapter_, folder, {e_.model.path.string(), loaded_.fingerprint, rendering});
  }

  void load_weights(const std::filesystem::path& folder) {
    if (full())
      reload_model(*loaded_.model, folder, session_.host());
    else
      load_adapter_tensors(*adapter_, folder / "adapter_model.safetensors");
  }

  // What makes the folder serve alone with its base: the tokenizer, and how to generate.
  void save_companions(const std::filesystem::path& folder) const {
    if (tokenizer_ && e_.model.is_gguf()) tokenizer_->write_tokenizer_json(folder);
    if (e_.model.is_gguf()) return;
    for (const char* name : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                             "vocab.json", "merges.txt", "chat_template.jinja", "generation_config.json"})
      if (std::filesystem::exists(e_.model.path / name))
        write_text_file(folder / name, read_text_file(e_.model.path / name));
  }

  std::vector<std::string> samples(const std::string& when) {
    if (e_.generation.prompts.empty() || !template_) return {};
    std::vector<std::vector<int32_t>> prompts;
    for (const std::string& p : e_.generation.prompts)
      prompts.push_back(template_->render_prompt(
          {.system = e_.generation.system.value_or(""), .instruction = p, .input = "", .output = ""}));
    const GenerationOptions options = resolve_generation(
        e_.generation, e_.model.is_gguf() ? FolderGeneration{} : read_folder_generation(e_.model.path),
        template_->stop_ids());
    fmt::print(stderr, "samples  {} answers {} ...\n", prompts.size(), when);
    std::vector<std::string> texts;
    for (const Answer& a :
         generate_text(*loaded_.model, session_.stream(), compute(), tokenizer_, prompts, options))
      texts.push_back(a.text);
    return texts;
  }

  void finish(const TrainResult& result, const std::vector<std::string>& before) {
    std::vector<std::pair<std::string, double>> evals = result.last_eval;
    if (result.last_eval_step != result.steps) {
      evals.clear();
      for (const EvalSet& s : eval_sets())
        evals.emplace_back(s.metric, evaluate(*loaded_.model, session_.stream(), compute(), *s.data));
    }
    const std::vector<std::string> after = samples("after training");
    for (size_t i = 0; i < after.size(); ++i) {
      fmt::print("\n? {}\n", e_.generation.prompts[i]);
      if (i < before.size()) fmt::print("  before: {}\n", one_line(before[i]));
      fmt::print("  after:  {}\n", one_line(after[i]));
    }
    if (!after.empty()) fmt::print("\n");
    for (const auto& [metric, value] : evals) fmt::print("{} {:.4f}\n", metric, value);
    std::fflush(stdout);
    print_end(subject(), result);
  }

  static std::string one_line(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
  }

  const RunOptions& options_;
  Experiment e_;
  Session session_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::shared_ptr<const Template> template_;
  LoadedModel loaded_;
  std::unique_ptr<Adapter> adapter_;
  std::string adapter_where_;
  double learning_rate_ = 0;
  Dataset train_;
  std::vector<std::pair<std::string, Dataset>> evals_;
  ConfigNode resolved_;
};

}  // namespace

int run_experiment(const RunOptions& options) {
  return ExperimentRun(options).run();
}

}  // namespace ft
