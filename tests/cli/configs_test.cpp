// Every YAML under configs/ is one that works: its keys are known, its data are there, and it trains a step
// on a small drawn model of its family. The model's path is the user's; the head comment says the command.
// (Those of experiments/ have data of the user's too: experiments_test.cpp.)
#include <algorithm>
#include <map>

#include "tests/cli/program.h"

namespace ft::cli {
namespace {

const fs::path kConfigs = fs::path(FT_SOURCE_DIR) / "configs";

std::vector<std::string> configs() {
  std::vector<std::string> all;
  for (const auto& entry : fs::directory_iterator(kConfigs))
    if (entry.path().extension() == ".yaml") all.push_back(fs::relative(entry.path(), kConfigs).string());
  std::sort(all.begin(), all.end());
  return all;
}

/// The family of `model.path`, and of methods that need biases one that has them.
std::string family_of(const std::string& yaml) {
  const size_t at = yaml.find("\n  path: ");
  const std::string path = yaml.substr(at, yaml.find('\n', at + 1) - at);
  for (const char* family : {"bloom", "gpt2"})
    if (path.find(family) != std::string::npos) return family;
  return path.find("wen3") != std::string::npos ? "qwen3" : "llama";
}

class Configs : public testing::TestWithParam<std::string> {};

TEST_P(Configs, TrainAStepOfASmallModel) {
  const TemporaryFolder folder;
  const std::string yaml = read_bytes(kConfigs / GetParam());
  EXPECT_TRUE(yaml.starts_with("#")) << "the head comment says what it shows";
  EXPECT_NE(yaml.find("ftengine run configs/" + GetParam()), std::string::npos) << "… and the command";
  expect_success(ftengine({"make-tiny-model", "model", "--family", family_of(yaml)}, folder.path()));
  const bool long_schedule = yaml.find("ADALORA") != std::string::npos;  // its budget falls over many steps
  expect_success(ftengine(
      {"run", (kConfigs / GetParam()).string(), "--set", "model.path=model", "--set",
       "training.output_dir=out", "--set", long_schedule ? "training.max_steps=60" : "training.max_steps=1",
       "--set", "data.max_length=400", "--set", "training.eval_strategy=no", "--set",
       "training.load_best_model_at_end=false", "--set", "generation.prompts=[]", "--set", "device=cpu"},
      folder.path()));
}

INSTANTIATE_TEST_SUITE_P(All, Configs, testing::ValuesIn(configs()), [](const auto& p) {
  std::string name = p.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
  return name;
});

TEST(ConfigsThere, AreSeen) {
  EXPECT_GE(configs().size(), 11u) << "a test that sees none proves nothing";
}

}  // namespace
}  // namespace ft::cli
