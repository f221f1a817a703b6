// --set: values, lists, paths, and wrong names.
#include "engine/config/fields.h"
#include "tests/config/support.h"

namespace ft {
namespace {

Experiment with(std::string_view text, const std::vector<std::string>& sets) {
  ConfigNode root = yaml(text);
  for (const std::string& set : sets) apply_override(root, set);
  return parse_experiment(root, {.check_files = false});
}

std::string set_error(const std::string& set, std::string_view text = kFullExample) {
  return error_of([&] { with(text, {set}); });
}

TEST(Set, OverridesAnyKey) {
  const Experiment e =
      with(kFullExample,
           {"training.seed=7", "training.learning_rate=3e-4", "adapter.target_modules=[k_proj]",
            "adapter.r=16", "training.tf32=true", "device=cpu",
            "training.early_stopping_patience=", "generation.prompts=['a=b', c]", "training.seed=8"});
  EXPECT_EQ(e.training.seed, 8) << "the last one counts";
  EXPECT_EQ(e.training.learning_rate, 3e-4);
  EXPECT_EQ(e.adapters[0].find("r")->integer(), 16);
  EXPECT_EQ((*e.adapters[0].find("target_modules"))[0].string(), "k_proj");
  EXPECT_TRUE(e.training.tf32);
  EXPECT_EQ(e.device, "cpu");
  EXPECT_EQ(e.training.early_stopping_patience, std::nullopt);
  EXPECT_EQ(e.generation.prompts, (std::vector<std::string>{"a=b", "c"}));
}

TEST(Set, MakesWhatIsMissing) {
  EXPECT_EQ(with(minimal(), {"generation.max_new_tokens=3"}).generation.max_new_tokens, 3);
  EXPECT_EQ(with(minimal(), {"data.eval.path=/e", "data.eval.format=text"}).data.eval[0].set.path, "/e");
}

TEST(Set, ListsAreIndexed) {
  const std::string list =
      "model: {path: m}\nadapter: [{peft_type: LORA, r: 1}, {peft_type: IA3}]\n"
      "data: {train: {path: t, format: text}}\ntraining: {output_dir: o}\n";
  EXPECT_EQ(with(list, {"adapter.0.r=4"}).adapters[0].find("r")->integer(), 4);
  EXPECT_EQ(with(list, {"adapter.1={peft_type: NONE}"}).adapters[1].find("peft_type")->string(), "NONE");
  EXPECT_EQ(set_error("adapter.2.r=4", list),
            "--set adapter.2.r=4: adapter is a list of 2; name one by its number from 0, such as adapter.0");
  EXPECT_EQ(set_error("adapter.r=4", list),
            "--set adapter.r=4: adapter is a list of 2; name one by its number from 0, such as adapter.0");
}

TEST(Set, PathsStartFromTheWorkingFolder) {
  const auto here = std::filesystem::current_path();
  const Experiment e = with(kFullExample, {"data.train.path=x/y.jsonl", "adapter.init_from=a"});
  EXPECT_EQ(e.data.train.at(0).path, here / "x/y.jsonl");
  EXPECT_EQ(e.adapters[0].find("init_from")->string(), (here / "a").string());
  EXPECT_EQ(e.model.path, "/base/models/qwen3-0.6b");
}

TEST(Set, MistakesNameTheArgument) {
  EXPECT_EQ(
      set_error("training.learning_rte=1"),
      "--set training.learning_rte=1: unknown key 'learning_rte' in training; did you mean 'learning_rate'?");
  EXPECT_EQ(set_error("trainign.seed=1"),
            "--set trainign.seed=1: unknown key 'trainign'; did you mean 'training'?");
  EXPECT_EQ(set_error("training.seed=abc"),
            "--set training.seed=abc: training.seed: expected an integer of at least 0, got the text 'abc'");
  EXPECT_EQ(set_error("training.seed"),
            "--set training.seed: expected key.path=value, such as training.seed=1");
  EXPECT_EQ(set_error("=1"), "--set =1: expected key.path=value, such as training.seed=1");
  EXPECT_EQ(set_error("training..seed=1"), "--set training..seed=1: a name is missing between two dots");
  EXPECT_EQ(set_error("training.=1"), "--set training.=1: a name is missing between two dots");
  EXPECT_EQ(set_error("model.path.x=1"),
            "--set model.path.x=1: model.path is the text 'models/qwen3-0.6b', it has no 'x'");
  EXPECT_EQ(set_error("adapter.target_modules=[a"),
            "--set adapter.target_modules=[a: a list or mapping stands where a key is expected; close its "
            "bracket, or write the key as a text");
  EXPECT_EQ(set_error("training.eval_strategy=no"),
            "exp.yaml:37: training.early_stopping_patience: needs evaluation; add data.eval and an "
            "eval_strategy, or remove it");
}

}  // namespace
}  // namespace ft
