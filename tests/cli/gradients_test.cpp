// must-not-happen 20 and 21, through the program: tensors that nothing trains are named, steps that are not
// finite are skipped and counted, and five of them in a row end the run.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "tests/cli/program.h"

namespace ft::cli {
namespace {

TEST(Line21NonFinite, FiveStepsInARowEndTheRunWithTensorAndCheckpoint) {
  const TemporaryFolder folder;
  copy_fixture("qwen3_lora", folder.path());
  // The first update throws the adapter far away: from the second step on nothing is finite.
  const Outcome o = ftengine({"run", "exp.yaml", "--set", "training.learning_rate=1e30", "--set",
                              "training.save_strategy=steps", "--set", "training.save_steps=2"},
                             folder.path());
  EXPECT_EQ(o.code, 1) << o.err;
  for (const char* part :
       {"warning: step 2 skipped: the gradient of model.layers.", "5 steps in a row were not finite",
        "lower training.learning_rate", "the last good checkpoint is "})
    EXPECT_NE(o.err.find(part), std::string::npos) << o.err;
  EXPECT_NE(o.err.find("out/checkpoint-4\n"), std::string::npos) << o.err;
  const auto rows = read_jsonl(folder / "out/metrics.jsonl");
  ASSERT_GE(rows.size(), 5u);
  EXPECT_EQ(rows[0].at("skipped_steps"), 0);
  EXPECT_EQ(rows[4].at("skipped_steps"), 4);
  EXPECT_TRUE(rows[4].at("loss").is_null()) << "a loss that is no number is none";
  EXPECT_FALSE(fs::exists(folder / "out/adapter_model.safetensors"));
  // Going on counts on: one more is the fifth … and the checkpoint named is the one that it started from.
  const Outcome again = ftengine({"run", "exp.yaml", "--resume", "--set", "training.learning_rate=1e30",
                                  "--set", "training.save_strategy=steps", "--set", "training.save_steps=2"},
                                 folder.path());
  EXPECT_EQ(again.code, 1) << again.err;
  EXPECT_NE(again.err.find("out/checkpoint-4\n"), std::string::npos) << again.err;
}

/// Zeros in place of one tensor of a float32 file.
void clear_tensor(const fs::path& file, const std::string& name) {
  std::string bytes = read_bytes(file);
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  const auto tensors = nlohmann::json::parse(bytes.substr(8, header));
  const auto offsets = tensors.at(name).at("data_offsets").get<std::vector<size_t>>();
  std::fill(bytes.begin() + static_cast<ptrdiff_t>(8 + header + offsets[0]),
            bytes.begin() + static_cast<ptrdiff_t>(8 + header + offsets[1]), '\0');
  write_bytes(file, bytes);
}

TEST(Line20ZeroGradient, ATensorThatNothingTrainsIsAnError) {
  const TemporaryFolder folder;
  copy_fixture("qwen3_lora", folder.path());
  // Without values attention gives nothing, whatever is asked: queries have no effect.
  for (const char* layer : {"0", "1"})
    clear_tensor(folder / "model/model.safetensors",
                 fmt::format("model.layers.{}.self_attn.v_proj.weight", layer));
  edit(folder / "exp.yaml", "init_from: adapter_init",
       "{peft_type: LORA, r: 2, target_modules: [down_proj, q_proj]}");
  const std::vector<std::string> run = {"run", "exp.yaml", "--overwrite"};
  const Outcome o = ftengine(run, folder.path());
  EXPECT_EQ(o.code, 1) << o.err;
  EXPECT_NE(
      o.err.find(
          "error: the gradient of model.layers.0.self_attn.q_proj.lora_A is exactly zero, 3 steps in a row"),
      std::string::npos)
      << o.err;
  // Without it: LoRA's A, which has no gradient before B moved, is none of those.
  edit(folder / "exp.yaml", "[down_proj, q_proj]", "[down_proj]");
  expect_success(ftengine(run, folder.path()));
  // With warm-up, whose first rate is zero, B moves a step later.
  std::vector<std::string> warm = run;
  warm.insert(warm.end(), {"--set", "training.warmup_steps=3", "--set", "training.lr_scheduler_type=linear"});
  expect_success(ftengine(warm, folder.path()));
}

}  // namespace
}  // namespace ft::cli
