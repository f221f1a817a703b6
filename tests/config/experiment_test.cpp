// exp.yaml as a whole: defaults, paths, rules between keys, and resolved.yaml.
#include <filesystem>
#include <fstream>

#include "engine/config/fields.h"
#include "tests/config/support.h"

namespace ft {
namespace {

namespace fs = std::filesystem;

TEST(Experiment, TheExampleOfTheInterface) {
  const Experiment e = experiment(kFullExample);
  EXPECT_EQ(e.model.path, "/base/models/qwen3-0.6b");
  EXPECT_EQ(e.model.dtype, DType::bf16);
  EXPECT_EQ(e.model.num_labels, 2);
  ASSERT_EQ(e.adapters.size(), 1u);
  EXPECT_EQ(e.adapters[0].find("target_modules")->size(), 2u);
  EXPECT_EQ(e.adapters[0].find("r")->where(), "exp.yaml:8");
  EXPECT_EQ(e.data.train.at(0), (DataSet{.path = "/base/data/train.jsonl", .format = DataFormat::alpaca}));
  ASSERT_EQ(e.data.eval.size(), 1u);
  EXPECT_EQ(e.data.eval[0].name, "");
  EXPECT_EQ(e.data.prompt_template.string(), "human_assistant");
  EXPECT_EQ(e.data.max_length, 512);
  EXPECT_EQ(e.training.output_dir, "/base/runs/qwen3-lora");
  EXPECT_EQ(e.training.learning_rate, 1e-4);
  EXPECT_EQ(e.training.num_train_epochs, 1.0);
  EXPECT_EQ(e.training.early_stopping_patience, 3);
  EXPECT_EQ(e.generation.prompts.size(), 1u);
  EXPECT_EQ(e.generation.max_new_tokens, 64);
  EXPECT_EQ(e.generation.temperature, std::nullopt);
}

TEST(Experiment, DefaultsAreThoseOfTheInterface) {
  const Experiment e = experiment(minimal("", "  eval_fraction: 0.1\n"));
  const TrainingSection& t = e.training;
  EXPECT_EQ(t.per_device_train_batch_size, 8);
  EXPECT_EQ(t.per_device_eval_batch_size, 8);
  EXPECT_EQ(t.gradient_accumulation_steps, 1);
  EXPECT_EQ(t.num_train_epochs, 3);
  EXPECT_EQ(t.max_steps, std::nullopt);
  EXPECT_EQ(t.learning_rate, std::nullopt) << "by method";
  EXPECT_EQ(t.lr_scheduler_type, SchedulerType::cosine);
  EXPECT_EQ(t.warmup_ratio, 0.03);
  EXPECT_EQ(t.max_grad_norm, 1.0);
  EXPECT_EQ(t.optim, OptimizerType::adamw);
  EXPECT_EQ(t.adam_beta1, 0.9);
  EXPECT_EQ(t.adam_beta2, 0.999);
  EXPECT_EQ(t.adam_epsilon, 1e-8);
  EXPECT_EQ(t.weight_decay, 0.0);
  EXPECT_EQ(t.seed, 42);
  EXPECT_EQ(t.eval_strategy, EvalStrategy::epoch);
  EXPECT_EQ(t.save_strategy, SaveStrategy::epoch);
  EXPECT_EQ(t.metric_for_best_model, "eval_loss");
  EXPECT_EQ(t.greater_is_better, false);
  EXPECT_FALSE(t.load_best_model_at_end || t.gradient_checkpointing || t.bf16 || t.fp16 || t.tf32);
  EXPECT_EQ(e.data.train_on, TrainOn::completion);
  EXPECT_EQ(e.data.truncation, Truncation::keep_start);
  EXPECT_TRUE(e.data.shuffle);
  EXPECT_FALSE(e.model.dropout);
  EXPECT_EQ(e.model.task_type, TaskType::causal_lm);
  EXPECT_EQ(e.device, "auto");
  EXPECT_EQ(experiment(minimal()).training.eval_strategy, EvalStrategy::no) << "nothing to evaluate on";
}

TEST(Experiment, StorageDefaultsFollowTheKindOfModel) {
  EXPECT_EQ(experiment(minimal()).model.dtype, DType::f32);
  const auto gguf = [](std::string_view model) {
    return experiment(fmt::format(
        "model: {{{}}}\nadapter: {{peft_type: LORA}}\ndata: {{train: {{path: t, format: text}}}}\n"
        "training: {{output_dir: o}}\n",
        model));
  };
  EXPECT_EQ(gguf("path: a.GGUF").model.dtype, DType::bf16);
  EXPECT_EQ(gguf("path: a.gguf, dtype: float16").model.dtype, DType::f16);
  EXPECT_EQ(error_of([&] { gguf("path: a, dtype: nf4"); }),
            "exp.yaml:1: model.dtype: nf4 comes with quantised storage, which this version does not have "
            "yet; use float32, "
            "bfloat16 or float16");
  EXPECT_EQ(error_of([&] { gguf("path: a, dtype: bf16"); }),
            "exp.yaml:1: model.dtype: expected one of float32, bfloat16, float16, got the text 'bf16'");
}

TEST(Experiment, LoggingAndWarmupFollowTheLengthOfTheRun) {
  TrainingSection t;
  EXPECT_EQ(t.logging_interval(100), 1);
  EXPECT_EQ(t.logging_interval(101), 10);
  t.logging_steps = 7;
  EXPECT_EQ(t.logging_interval(5), 7);
  EXPECT_EQ(t.warmup(100), 3);
  EXPECT_EQ(t.warmup(101), 4) << "rounded up";
  t.warmup_steps = 0;
  EXPECT_EQ(t.warmup(100), 0);
}

TEST(Experiment, UnknownKeysAreErrorsEverywhere) {
  EXPECT_EQ(experiment_error(minimal("  learning_rte: 1\n")),
            "exp.yaml:7: unknown key 'learning_rte' in training; did you mean 'learning_rate'?");
  EXPECT_EQ(experiment_error(minimal("", "", "modle: {}\n")),
            "exp.yaml:7: unknown key 'modle'; did you mean 'model'?");
  EXPECT_EQ(experiment_error(minimal("", "  eval: {pth: x, format: text}\n")),
            "exp.yaml:5: unknown key 'pth' in data.eval; did you mean 'path'?");
  EXPECT_EQ(experiment_error(minimal("", "  eval: {a: {path: x, fromat: text}}\n")),
            "exp.yaml:5: unknown key 'fromat' in data.eval.a; did you mean 'format'?");
  EXPECT_EQ(experiment_error(minimal("", "", "generation: {top_q: 1}\n")),
            "exp.yaml:7: unknown key 'top_q' in generation; did you mean 'top_k'?");
}

TEST(Experiment, AMisspeltKeyIsNeverIgnored) {
  const ConfigNode resolved = to_resolved(experiment(kFullExample));
  int tried = 0;
  for (std::string_view section : {"model", "data", "training", "generation"}) {
    for (size_t i = 0; i < resolved.find(section)->size(); ++i) {
      ConfigNode tree = resolved;
      ConfigNode& node = *tree.find(section);
      const std::string right = node.key(i);
      std::string wrong = right;
      wrong.insert(wrong.size() / 2, "x");
      const ConfigNode value = node[i];
      node.erase(right);
      node.set(wrong, value);
      const std::string expected =
          fmt::format("unknown key '{}' in {}; did you mean '{}'?", wrong, section, right);
      EXPECT_NE(experiment_error(to_yaml(tree)).find(expected), std::string::npos)
          << experiment_error(to_yaml(tree));
      ++tried;
    }
  }
  EXPECT_GT(tried, 60);
}

TEST(Experiment, MisplacedAndForeignKeysAreSentHome) {
  EXPECT_EQ(experiment_error(minimal("  r: 8\n")),
            "exp.yaml:7: unknown key 'r' in training; it belongs under adapter");
  EXPECT_EQ(experiment_error(minimal("  max_length: 8\n")),
            "exp.yaml:7: unknown key 'max_length' in training; it belongs under data or generation");
  EXPECT_EQ(experiment_error(minimal("", "", "learning_rate: 1\n")),
            "exp.yaml:7: unknown key 'learning_rate'; it belongs under training");
  EXPECT_EQ(experiment_error(minimal("  evaluation_strategy: epoch\n")),
            "exp.yaml:7: unknown key 'evaluation_strategy' in training; it is called 'eval_strategy' here");
  EXPECT_EQ(experiment_error(minimal("", "  cutoff_len: 8\n")),
            "exp.yaml:5: unknown key 'cutoff_len' in data; it is called 'max_length' here");
}

TEST(Experiment, WhatIsMissingIsNamed) {
  EXPECT_EQ(experiment_error(""), "exp.yaml: empty; it needs model, adapter, data and training");
  EXPECT_EQ(experiment_error("model: {path: m}\n"),
            "exp.yaml:1: data is missing; write data: {train: {path: FILE, format: alpaca}}");
  EXPECT_NE(experiment_error(
                "model: {path: m}\ndata: {train: {path: t, format: text}}\ntraining: {output_dir: o}\n")
                .find("adapter is missing; write adapter:"),
            std::string::npos);
  EXPECT_NE(experiment_error("model: {path: m}\nadapter: []\ndata: {train: {path: t, format: "
                             "text}}\ntraining: {output_dir: o}\n")
                .find("exp.yaml:2: adapter: write adapter:"),
            std::string::npos);
  EXPECT_EQ(experiment_error("model: {path: m}\nadapter: {peft_type: LORA}\ndata: {train: {path: "
                             "t}}\ntraining: {output_dir: o}\n"),
            "exp.yaml:3: data.train.format is missing; alpaca, chat, prompt_completion, text, classification "
            "or tokenized");
  EXPECT_EQ(experiment_error("model: {path: m}\nadapter: {peft_type: LORA}\ndata: {train: {path: t, format: "
                             "text}}\ntraining:\n  seed: 1\n"),
            "exp.yaml:5: training.output_dir is missing; name a folder for what the run leaves");
  EXPECT_EQ(experiment_error("[1, 2]\n"),
            "exp.yaml:1: the top level: expected a mapping of keys to values, got a list of 2");
}

TEST(Experiment, AdaptersAsMappingListAndNone) {
  const auto adapters = [](std::string_view text) {
    return experiment(fmt::format("model: {{path: m}}\n{}data: {{train: {{path: t, format: "
                                  "text}}}}\ntraining: {{output_dir: o}}\n",
                                  text))
        .adapters;
  };
  EXPECT_EQ(adapters("adapter:\n- {peft_type: LORA}\n- {peft_type: PREFIX_TUNING}\n").size(), 2u);
  EXPECT_EQ(adapters("trainable: ['.*bias']\n").size(), 0u);
  EXPECT_EQ(adapters("adapter: {init_from: a/b}\n")[0].find("init_from")->string(), "/base/a/b");
  EXPECT_EQ(adapters("adapter: {peft_type: LORA, rank: 8}\n")[0].find("rank")->integer(), 8)
      << "for the method to judge";
  EXPECT_EQ(error_of([&] { adapters("adapter: LORA\n"); }),
            "exp.yaml:2: adapter: expected a mapping such as {peft_type: LORA, r: 8}, got the text 'LORA'");
  EXPECT_EQ(error_of([&] { adapters("adapter: [{r: 1}, 3]\n"); }),
            "exp.yaml:2: adapter.1: expected a mapping such as {peft_type: LORA, r: 8}, got the number 3");
}

TEST(Experiment, EvaluationSets) {
  const auto eval = [](std::string_view data) { return experiment(minimal("", data)).data; };
  const DataSection named =
      eval("  eval:\n    target: {path: a, format: text}\n    forgetting: {path: b, format: chat}\n");
  ASSERT_EQ(named.eval.size(), 2u);
  EXPECT_EQ(named.eval[1], (NamedDataSet{"forgetting", {.path = "/base/b", .format = DataFormat::chat}}));
  EXPECT_EQ(eval("  eval_fraction: 0.05\n").eval_fraction, 0.05);
  EXPECT_FALSE(eval("  eval: null\n  eval_fraction: 0\n").has_eval());
  EXPECT_EQ(experiment_error(minimal("", "  eval: {path: a, format: text}\n  eval_fraction: 0.1\n")),
            "exp.yaml:6: data.eval_fraction: given beside eval; keep one of them");
  EXPECT_NE(experiment_error(minimal("", "  eval_fraction: 1\n")).find("below 1"), std::string::npos);
  EXPECT_NE(
      experiment_error(minimal("", "  eval: {'../x': {path: a, format: text}}\n")).find("letters, digits"),
      std::string::npos);
  EXPECT_NE(experiment_error(minimal("", "  eval: {}\n")).find("exp.yaml:5: data.eval: expected"),
            std::string::npos);
}

TEST(Experiment, TemplatesAreNamesOrMappings) {
  EXPECT_TRUE(experiment(minimal("", "  template: {prompt: 'Q: {q}'}\n")).data.prompt_template.is_map());
  EXPECT_EQ(experiment(minimal("", "  template: [a, {prompt: '{q}'}]\n")).data.prompt_template.size(), 2u);
  for (const char* wrong : {"[]", "[a, 5]", "[[a]]", "3", "''"})
    EXPECT_NE(experiment_error(minimal("", fmt::format("  template: {}\n", wrong)))
                  .find("data.template: expected a template's name"),
              std::string::npos)
        << wrong;
}

TEST(Experiment, TrainingSets) {
  const auto data = [](std::string_view train) {
    return "model: {path: m}\nadapter: {peft_type: LORA}\ntraining: {output_dir: out}\ndata:\n" +
           std::string(train);
  };
  const std::string several = data(
      "  train:\n    - {path: a, format: text, weight: 2}\n    - {path: b.csv, format: alpaca, columns: "
      "{output: "
      "answer}}\n");
  const Experiment e = experiment(several);
  ASSERT_EQ(e.data.train.size(), 2u);
  EXPECT_EQ(e.data.train[0].weight, 2);
  EXPECT_EQ(e.data.train[1].columns.at(0).second, "answer");
  EXPECT_EQ(experiment(to_yaml(to_resolved(e))), e);
  const auto refuses = [&](std::string_view train, std::string_view part) {
    EXPECT_NE(experiment_error(data(train)).find(part), std::string::npos) << experiment_error(data(train));
  };
  refuses("  train: []\n", "exp.yaml:5: data.train: expected at least one");
  refuses("  train: [{path: a, format: text, wieght: 2}]\n", "did you mean 'weight'?");
  refuses("  train: {path: a, format: text, weight: 0}\n", "above 0");
  refuses("  train: {path: a, format: text}\n  eval: {path: a, format: text, weight: 2}\n",
          "without a weight");
  refuses("  train: {path: a, format: text}\n  block_size: 1\n", "data.block_size");
}

TEST(Experiment, KeysThatContradictEachOther) {
  const auto training = [](std::string_view keys, bool eval = true) {
    return experiment_error(minimal(keys, eval ? "  eval_fraction: 0.1\n" : ""));
  };
  const auto says = [](const std::string& message, std::string_view part) {
    return message.find(part) != std::string::npos;
  };
  EXPECT_EQ(training("  eval_strategy: steps\n"),
            "exp.yaml:8: training.eval_strategy: steps needs eval_steps; add eval_steps: 100");
  EXPECT_EQ(training("  eval_strategy: epoch\n", false),
            "exp.yaml:7: training.eval_strategy: epoch, but there is no evaluation set; add data.eval or "
            "data.eval_fraction, or "
            "write eval_strategy: no");
  EXPECT_TRUE(says(training("  eval_steps: 5\n"), "exp.yaml:8: training.eval_steps: has no effect"));
  EXPECT_TRUE(says(training("  save_strategy: steps\n"), "steps needs save_steps"));
  EXPECT_TRUE(says(training("  save_strategy: end\n  save_steps: 5\n"),
                   "exp.yaml:9: training.save_steps: has no effect"));
  EXPECT_TRUE(says(training("  load_best_model_at_end: true\n", false), "needs evaluation"));
  EXPECT_TRUE(says(training("  load_best_model_at_end: true\n  save_strategy: end\n"), "make them the same"));
  EXPECT_TRUE(says(
      training(
          "  load_best_model_at_end: true\n  eval_strategy: steps\n  eval_steps: 4\n  save_strategy: steps\n"
          "  save_steps: 6\n"),
      "multiple of eval_steps, got 6 and 4"));
  EXPECT_EQ(
      training(
          "  load_best_model_at_end: true\n  eval_strategy: steps\n  eval_steps: 3\n  save_strategy: steps\n"
          "  save_steps: 6\n"),
      "(none)");
  EXPECT_TRUE(says(training("  early_stopping_patience: 2\n", false), "needs evaluation"));
  EXPECT_TRUE(says(training("  bf16: true\n  fp16: true\n"), "exp.yaml:9: training.fp16: given beside bf16"));
  EXPECT_TRUE(says(training("  max_steps: 0\n"), "no steps to train"));
  EXPECT_TRUE(says(training("  max_steps: -2\n"), "of at least -1"));
  EXPECT_TRUE(says(training("  num_train_epochs: 0\n"), "above 0"));
  EXPECT_TRUE(says(training("  warmup_ratio: 0.1\n  warmup_steps: 5\n"), "given beside warmup_ratio"));
  EXPECT_TRUE(says(training("  momentum: 0.9\n"), "belongs to optim: sgd"));
  EXPECT_EQ(training("  momentum: 0.9\n  optim: sgd\n"), "(none)");
  EXPECT_EQ(training("  eval_strategy: no\n  eval_steps: 5\n"), "(none)")
      << "switched off by hand or by --set";
}

TEST(Experiment, ValuesOfHuggingFaceThatMeanNothingSpecial) {
  EXPECT_EQ(experiment(minimal("  max_steps: -1\n")).training.max_steps, std::nullopt);
  EXPECT_EQ(experiment(minimal("  warmup_steps: 0\n")).training.warmup(1000), 0);
  EXPECT_EQ(experiment(minimal("  warmup_steps: 9\n")).training.warmup(1000), 9);
  EXPECT_EQ(experiment(minimal("  num_train_epochs: 2.5\n")).training.num_train_epochs, 2.5);
  EXPECT_EQ(experiment(minimal("  metric_for_best_model: loss\n")).training.metric_for_best_model,
            "eval_loss");
  EXPECT_EQ(experiment(minimal("  metric_for_best_model: accuracy\n")).training.greater_is_better, true);
  EXPECT_EQ(
      experiment(minimal("", "", "generation: {num_beams: 4, early_stopping: true}\n")).generation.num_beams,
      4);
}

TEST(Experiment, Devices) {
  for (std::string_view device : {"auto", "cpu", "cuda", "cuda:1", "cuda-sim"}) {
    EXPECT_EQ(experiment(minimal("", "", fmt::format("device: {}\n", device))).device, device);
  }
  for (std::string_view device : {"gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1234", "CPU"}) {
    EXPECT_EQ(
        experiment_error(minimal("", "", fmt::format("device: '{}'\n", device))),
        fmt::format("exp.yaml:7: device: expected auto, cpu, cuda, cuda:N or cuda-sim, got the text '{}'",
                    device));
  }
}

TEST(Experiment, ResolvedParsesToTheSame) {
  const std::vector<std::string> texts = {
      std::string(kFullExample), minimal(), minimal("  warmup_steps: 5\n  max_steps: 10\n"),
      minimal("  metric_for_best_model: f1\n  optim: sgd\n  momentum: 0.9\n  learning_rate: 0.1\n",
              "  eval:\n    a: {path: x, format: chat}\n    b: {path: /y, format: tokenized}\n  template: "
              "{user: \"a\\nb\", n: 1}\n"
              "  truncation: drop\n  on_bad_row: skip\n",
              "trainable: ['.*norm', 'a: b']\ngeneration: {prompts: ['no', '1', \"x\\ty\"], top_p: 0.9, "
              "stop: [\"\\n\"]}\n")};
  for (const std::string& text : texts) {
    const Experiment e = experiment(text);
    const ConfigNode resolved = to_resolved(e);
    const std::string written = to_yaml(resolved);
    const ConfigNode reread =
        parse_yaml(written, std::make_shared<Source>(Source{"resolved.yaml", "/elsewhere"}));
    EXPECT_EQ(reread, resolved) << written;
    const Experiment again = parse_experiment(reread, {.check_files = false});
    EXPECT_EQ(again, e) << written;
    EXPECT_EQ(to_yaml(to_resolved(again)), written);
  }
}

TEST(Experiment, ResolvedHasEveryKeyAndTakesTheCallersValues) {
  ConfigNode resolved = to_resolved(experiment(minimal()));
  EXPECT_EQ(resolved.find("training")->find("adam_beta2")->real(), 0.999);
  EXPECT_TRUE(resolved.find("training")->find("learning_rate")->is_null());
  EXPECT_EQ(resolved.find("data")->find("train")->find("path")->string(), "/base/t.jsonl");
  resolved.find("training")->set("learning_rate", 2e-4);
  resolved.set("ftengine", ConfigNode::map()).set("version", "0.1.0");
  resolved.find("adapter")->set("r", 8);
  const Experiment e = experiment(to_yaml(resolved));
  EXPECT_EQ(e.training.learning_rate, 2e-4);
  EXPECT_EQ(e.adapters[0].find("r")->integer(), 8);
}

TEST(Experiment, DefaultsTextListsEveryKey) {
  const std::string text = defaults_text();
  const ConfigNode resolved = to_resolved(experiment(kFullExample));
  for (std::string_view section : {"model", "data", "training", "generation"}) {
    const ConfigNode& node = *resolved.find(section);
    for (size_t i = 0; i < node.size(); ++i) {
      EXPECT_NE(text.find(fmt::format("\n  {}", node.key(i))), std::string::npos) << node.key(i);
    }
  }
  EXPECT_NE(text.find("  lr_scheduler_type            cosine"), std::string::npos) << text;
}

class Files : public testing::Test {
 protected:
  Files() : folder_(fs::temp_directory_path() / fmt::format("ft_config_test_{}", ::getpid())) {
    fs::create_directories(folder_ / "m");
    write("t.jsonl", "{}\n");
    write("exp.yaml", minimal());
  }
  ~Files() override { fs::remove_all(folder_); }
  void write(const std::string& name, std::string_view text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }

  fs::path folder_;
};

TEST_F(Files, PathsStartFromTheYaml) {
  const Experiment e = load_experiment(folder_ / "exp.yaml");
  EXPECT_EQ(e.yaml, folder_ / "exp.yaml");
  EXPECT_EQ(e.data.train.at(0).path, folder_ / "t.jsonl");
  EXPECT_EQ(e.training.output_dir, folder_ / "out");
}

TEST_F(Files, MissingFilesAreNamedWithTheirLine) {
  const std::string yaml = (folder_ / "exp.yaml").string();
  fs::remove(folder_ / "t.jsonl");
  EXPECT_EQ(error_of([&] { load_experiment(yaml); }),
            fmt::format("{}:4: data.train.path: no such file: {}", yaml, (folder_ / "t.jsonl").string()));
  fs::create_directory(folder_ / "t.jsonl");
  EXPECT_NE(error_of([&] { load_experiment(yaml); }).find("this is a folder"), std::string::npos);
  fs::remove(folder_ / "m");
  EXPECT_NE(error_of([&] { load_experiment(yaml); }).find(":1: model.path: no such folder or file: "),
            std::string::npos);
  EXPECT_NO_THROW(load_experiment(yaml, {}, {.check_files = false}));
  EXPECT_NE(error_of([&] { load_experiment(folder_ / "none.yaml"); }).find("none.yaml: cannot open"),
            std::string::npos);
  EXPECT_NE(error_of([&] { load_experiment(folder_); }).find("is a folder"), std::string::npos);
}

}  // namespace
}  // namespace ft
