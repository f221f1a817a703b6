// must-not-happen 3: a model that has learnt its samples stops where they stop, though its padding token is
// its end token; asked with the adapter, and asked of the merged model.
#include "tests/cli/program.h"

namespace ft::cli {
namespace {

using nlohmann::json;

constexpr const char* kSamples[][2] = {{"one", "eins"}, {"two", "zwei"},  {"red", "rot"}, {"sun", "Sonne"},
                                       {"dog", "Hund"}, {"cat", "Katze"}, {"yes", "ja"},  {"no", "nein"}};

/// The answers to all samples; each must end with the end token.
void expect_answers(const std::vector<std::string>& model, const fs::path& folder) {
  std::string prompts;
  for (const auto& [prompt, answer] : kSamples) prompts += json{{"prompt", prompt}}.dump() + "\n";
  write_bytes(folder / "prompts.jsonl", prompts);
  std::vector<std::string> arguments = {"generate", "--file", "prompts.jsonl", "--max-new-tokens", "24"};
  arguments.insert(arguments.end(), model.begin(), model.end());
  const Outcome o = ftengine(arguments, folder);
  expect_success(o);
  write_bytes(folder / "answers.jsonl", o.out);
  const std::vector<json> answers = read_jsonl(folder / "answers.jsonl");
  ASSERT_EQ(answers.size(), std::size(kSamples));
  for (size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i]["text"], kSamples[i][1]);
    EXPECT_EQ(answers[i]["ids"].back(), 256) << answers[i];
  }
}

TEST(Learning, OverfittedSamplesEndWithTheEndToken) {
  if (ftengine({"--help"}).out.find("\n  generate ") == std::string::npos)
    GTEST_SKIP() << "this binary has no generate command";
  const TemporaryFolder folder;
  expect_success(ftengine({"make-tiny-model", "model"}, folder.path()));
  std::string rows;
  for (const auto& [prompt, answer] : kSamples)
    rows += json{{"prompt", prompt}, {"completion", answer}}.dump() + "\n";
  write_bytes(folder / "train.jsonl", rows);
  write_bytes(folder / "exp.yaml",
              "model: {path: model}\n"
              "adapter: {peft_type: LORA, r: 16, lora_alpha: 32, target_modules: all-linear, "
              "modules_to_save: [lm_head]}\n"
              "data: {train: {path: train.jsonl, format: prompt_completion}}\n"
              "training: {output_dir: out, max_steps: 120, learning_rate: 1.0e-2, lr_scheduler_type: linear, "
              "save_strategy: 'no'}\n");
  expect_success(ftengine({"run", "exp.yaml"}, folder.path()));
  const std::vector<json> metrics = read_jsonl(folder / "out/metrics.jsonl");
  EXPECT_GT(metrics.front()["loss"], 3.0);
  EXPECT_LT(metrics.back()["loss"], 0.05);
  expect_answers({"--model", "model", "--adapter", "out"}, folder.path());
  expect_success(
      ftengine({"merge", "--model", "model", "--adapter", "out", "--out", "merged"}, folder.path()));
  expect_answers({"--model", "merged"}, folder.path());
}

}  // namespace
}  // namespace ft::cli
