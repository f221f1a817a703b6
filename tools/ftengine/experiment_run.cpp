#include "tools/ftengine/experiment_run.h"

#include <algorithm>
#include <cstdio>
#include <optional>

#include "adapters/registry.h"
#include "adapters/stack.h"
#include "engine/config/json.h"
#include "engine/config/yaml.h"
#include "engine/data/open_tokenizer.h"
#include "engine/generate/text.h"
#include "engine/io/atomic_file.h"
#include "engine/io/printable.h"
#include "engine/io/text_file.h"
#include "engine/train/checkpoint.h"
#include "engine/train/trainer.h"
#include "tools/ftengine/output_dir.h"
#include "tools/ftengine/process_title.h"
#include "tools/ftengine/run_data.h"
#include "tools/ftengine/run_files.h"
#include "tools/ftengine/run_report.h"
#include "tools/ftengine/run_samples.h"
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
    const std::filesystem::path& out = e_.training.output_dir;
    const std::filesystem::path name = (out.has_filename() ? out : out.parent_path()).filename();
    set_process_title("ftengine:run " + printable(name.string(), 100));
    try {
      return train_and_save();
    } catch (const WriteError& e) {
      explain(e, e_.training.output_dir);
    }
  }

 private:
  int train_and_save() {
    refuse_unsupported();
    check_adapters();
    const TrainingSection& t = e_.training;
    std::optional<OutputDir> output;
    if (!options_.dry_run) output.emplace(t.output_dir, options_.resume, options_.overwrite);
    const std::filesystem::path checkpoint = options_.resume ? find_checkpoint() : std::filesystem::path();
    open_model();
    open_text(e_, data_);
    attach_adapters();
    const ModelFacts& facts = loaded_.model->facts();
    open_data(e_, facts, room_for_samples(facts, adapters_.all()), data_);
    check_disk(subject(), checkpoint, options_.overwrite && !options_.resume);
    if (options_.look) return options_.look(subject(), learning_rate_);
    print_start(subject());
    if (options_.dry_run) return 0;
    make_resolved();
    if (data_.prompt_template)
      for (const std::string& p : e_.generation.prompts) samples_.push_back({.prompt = p});
    if (checkpoint.empty()) {
      if (options_.overwrite) output->clear();
      write_text_file(t.output_dir / "resolved.yaml", to_yaml(resolved_));
      ask("before training", &SampleAnswers::before);
    } else {
      recall_samples(t.output_dir, samples_);
    }
    TrainJob job{
        .experiment = e_,
        .resolved = resolved_,
        .model = *loaded_.model,
        .adapters = {adapters_.all().begin(), adapters_.all().end()},
        .trainables = adapters_.trainables(),
        .train = data_.train,
        .eval = eval_sets(),
        .learning_rate = learning_rate_,
        .weights = {[this](const std::filesystem::path& f) { save_weights(subject(), f, true); },
                    [this](const std::filesystem::path& f) { load_weights(subject(), f, session_.host()); }},
        .base_fingerprint = loaded_.fingerprint,
        .resume_from = checkpoint,
        .resume_anyway = options_.resume_anyway,
        .interrupted = options_.interrupted};
    TrainResult result = train(job, session_.stream(), compute());
    if (result.interrupted) {
      report(result);
      fmt::print(stderr, "interrupted after step {}; saved {}\ngo on with: ftengine run {} --resume\n",
                 result.steps, result.checkpoint.string(), options_.yaml.string());
      return 130;
    }
    adapters_.settle(session_.stream());
    save_weights(subject(), t.output_dir, false);
    save_companions(subject(), data_.tokenizer.get(), t.output_dir);
    finish(result);
    return 0;
  }

  void refuse_unsupported() const {
    if (e_.model.task_type != TaskType::causal_lm)
      bad_input("{}: model.task_type: {} is not supported; use CAUSAL_LM", e_.yaml.string(),
                name_of(e_.model.task_type));
    if ((e_.training.bf16 || e_.training.fp16) && session_.device() == Device())
      bad_input("{}: training.{} is for CUDA; the CPU computes in float32", e_.yaml.string(),
                e_.training.bf16 ? "bf16" : "fp16");
    std::error_code none;
    if (std::filesystem::equivalent(e_.model.path, e_.training.output_dir, none) && !none)
      bad_input("{}: training.output_dir is the folder of the model itself; choose another one",
                e_.yaml.string());
  }

  // Of the activations.
  DType compute() const {
    return e_.training.bf16 ? DType::bf16 : e_.training.fp16 ? DType::f16 : DType::f32;
  }

  static std::filesystem::path init_from(const ConfigNode& adapter) {
    const ConfigNode* from = adapter.find("init_from");
    return from && from->is_string() ? std::filesystem::path(from->string()) : std::filesystem::path();
  }

  // `trainable:` is a method of its own behind those of `adapter:`.
  ConfigNode by_name() const {
    nlohmann::ordered_json json = {{"peft_type", "TRAINABLE"}, {"trainable", e_.trainable}};
    return from_json(json, std::make_shared<const Source>(Source{e_.yaml.string(), e_.yaml.parent_path()}));
  }

  // The methods' own fields, before anything large is opened.
  void check_adapters() {
    if (e_.adapters.empty() && e_.trainable.empty())
      bad_input("{}: no adapter; write adapter: {{peft_type: LORA}} or another method", e_.yaml.string());
    std::optional<double> rate = e_.training.learning_rate;
    std::vector<ConfigNode> all = e_.adapters;
    if (!e_.trainable.empty()) all.push_back(by_name());
    for (const ConfigNode& node : all) {
      const std::filesystem::path from = init_from(node);
      const ConfigNode config = from.empty() ? node : read_adapter_config(from);
      const AdapterKind& kind = find_adapter_kind(config);
      if (kind.peft_type == "NONE" && all.size() > 1)
        bad_input("{}: adapter: NONE trains every weight and stands alone", node.where());
      methods_.push_back(
          {from, config.where(), kind.make(config, from.empty() ? "adapter" : "", !from.empty())});
      // A hybrid learns at the pace of its slowest part.
      const double usual = default_learning_rate(config);
      if (!e_.training.learning_rate) rate = std::min(rate.value_or(usual), usual);
    }
    learning_rate_ = *rate;
    const auto has_b = [](const Method& m) {
      return m.adapter->peft_type() == "LORA" || m.adapter->peft_type() == "ADALORA";
    };
    if (e_.training.loraplus_lr_ratio && std::none_of(methods_.begin(), methods_.end(), has_b))
      bad_input("{}: training.loraplus_lr_ratio is for LORA and ADALORA, which have the B that it speeds up",
                e_.yaml.string());
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
      bad_input("{}: no checkpoint to resume from; start with --overwrite instead of --resume",
                e_.training.output_dir.string());
    return all.back();
  }

  void open_model() {
    loaded_ = load_model(e_.model.path,
                         {.storage = e_.model.dtype,
                          .device = session_.device(),
                          .compute = kParameters,
                          .dropout = e_.model.dropout},
                         session_.host());
  }

  // The text that a prompt starts from, as PEFT tokenises it.
  std::vector<int32_t> tokenize(const std::string& text) {
    const auto tokenizer = data_.tokenizer ? data_.tokenizer : open_tokenizer(e_.model.path);
    return tokenizer->encode(text, {.add_special = true});
  }

  void attach_adapters() {
    for (Method& m : methods_) {
      const AttachOptions attach{.compute = kParameters,
                                 .device = session_.device(),
                                 .seed = static_cast<uint64_t>(e_.training.seed),
                                 .index = static_cast<int>(adapters_.size()),
                                 .b_rate = e_.training.loraplus_lr_ratio.value_or(1),
                                 .where = m.where,
                                 .tokenize = [this](const std::string& text) { return tokenize(text); },
                                 .stream = &session_.stream()};
      if (!m.from.empty())
        m.adapter = load_adapter(m.from, *loaded_.model, loaded_.fingerprint, attach);
      else
        m.adapter->attach(*loaded_.model, attach);
      adapters_.add(std::move(m.adapter));
    }
    check_places(adapters_.all());
  }

  RunSubject subject() const {
    return {e_,          loaded_,     adapters_,          data_.prompt_template.get(),
            data_.train, data_.evals, session_.describe()};
  }

  bool full() const { return adapters_.full(); }

  // resolved.yaml: running it again repeats the run.
  void make_resolved() {
    Experiment r = e_;
    r.training.learning_rate = learning_rate_;
    for (size_t i = 0; i < r.adapters.size() && !full(); ++i) {
      if (!methods_[i].from.empty()) continue;
      ConfigNode adapter = ConfigNode::map();
      const nlohmann::ordered_json config = adapters_.all()[i]->run_json();
      for (const auto& [key, value] : config.items()) {
        if (value.is_null() || key == "base_model_name_or_path" || key == "inference_mode" ||
            key == "task_type")
          continue;
        adapter.set(key, from_json(nlohmann::ordered_json(value), nullptr));
      }
      r.adapters[i] = adapter;
    }
    if (data_.prompt_template && r.data.prompt_template.is_null())
      r.data.prompt_template = data_.prompt_template->name();
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
    for (const auto& [name, set] : data_.evals)
      sets.push_back({name.empty() ? "eval_loss" : "eval_" + name + "_loss", &set});
    return sets;
  }

  // Answers every prompt of the configuration into one side of samples.jsonl.
  void ask(const std::string& when, std::optional<std::string> SampleAnswers::*side) {
    if (samples_.empty()) return;
    std::vector<std::vector<int32_t>> prompts;
    for (const SampleAnswers& s : samples_)
      prompts.push_back(data_.prompt_template->render_prompt(
          {.system = e_.generation.system.value_or(""), .instruction = s.prompt, .input = "", .output = ""}));
    const GenerationOptions options = resolve_generation(
        e_.generation, e_.model.is_gguf() ? FolderGeneration{} : read_folder_generation(e_.model.path),
        data_.prompt_template->stop_ids());
    fmt::print(stderr, "samples  {} answers {} ...\n", prompts.size(), when);
    const AdapterStep step(*loaded_.model, adapters_.all(), session_.stream(), compute(), {});
    const std::vector<Answer> answers =
        generate_text(*loaded_.model, session_.stream(), compute(), data_.tokenizer, prompts, options, {},
                      {.before = {step.before()}});
    for (size_t i = 0; i < answers.size(); ++i) samples_[i].*side = answers[i].text;
    write_samples(e_.training.output_dir, samples_);
  }

  void finish(TrainResult& result) {
    if (result.last_eval_step != result.steps) {
      result.last_eval.clear();
      for (const EvalSet& s : eval_sets())
        result.last_eval.emplace_back(
            s.metric, evaluate(*loaded_.model, adapters_.all(), session_.stream(), compute(), *s.data,
                               e_.training.per_device_eval_batch_size));
    }
    ask("after training", &SampleAnswers::after);
    print_samples(samples_);
    for (const auto& [metric, value] : result.last_eval) fmt::print("{} {:.4f}\n", metric, value);
    std::fflush(stdout);
    report(result);
    print_end(subject(), result);
    if (full()) return;
    for (const std::filesystem::path& folder : adapter_folders(e_.training.output_dir))
      if (changes_nothing(folder))
        fmt::print(stderr,
                   "warning: the adapter {}changes nothing: training left it as it began; look at "
                   "training.learning_rate and at the losses\n",
                   adapters_.size() > 1 ? folder.filename().string() + " " : "");
  }

  // The run's result does not hang on its report.
  void report(const TrainResult& result) const {
    try {
      write_report(subject(), result, samples_, to_yaml(resolved_));
    } catch (const WriteError& e) {
      fmt::print(stderr, "warning: {}; everything else is written\n", e.what());
    }
  }

  const RunOptions& options_;
  Experiment e_;
  Session session_;
  RunData data_;
  LoadedModel loaded_;
  struct Method {
    std::filesystem::path from;        // init_from, or empty
    std::string where;                 // for messages
    std::unique_ptr<Adapter> adapter;  // until it is attached
  };
  std::vector<Method> methods_;
  AdapterStack adapters_;
  double learning_rate_ = 0;
  std::vector<SampleAnswers> samples_;
  ConfigNode resolved_;
};

}  // namespace

int run_experiment(const RunOptions& options) {
  return ExperimentRun(options).run();
}

}  // namespace ft
