// `ftengine run` from a YAML to the files of an output folder, on fixtures whose losses Transformers and PEFT
// computed.
#include <cmath>
#include <sstream>

#include "tests/cli/program.h"

namespace ft::cli {
namespace {

using nlohmann::json;

std::vector<json> training_rows(const fs::path& output) {
  std::vector<json> rows;
  for (json& row : read_jsonl(output / "metrics.jsonl"))
    if (row.contains("loss")) rows.push_back(std::move(row));
  return rows;
}

/// The fields that are promised to the bit.
json promised(const std::vector<json>& rows) {
  json out = json::array();
  for (const json& row : rows)
    out.push_back({row.at("step"), row.at("epoch"), row.at("loss"), row.at("grad_norm"),
                   row.at("learning_rate"), row.at("tokens")});
  return out;
}

class Run : public testing::TestWithParam<std::string> {};

TEST_P(Run, LossesAreThoseOfTheReferenceAndTheFolderIsComplete) {
  const TemporaryFolder folder;
  copy_fixture(GetParam(), folder.path());
  const Outcome o = ftengine({"run", "exp.yaml"}, folder.path());
  expect_success(o);
  const json expected = json::parse(read_bytes(folder / "expected.json"));
  const std::vector<json> rows = training_rows(folder / "out");
  ASSERT_EQ(rows.size(), 10u);
  for (size_t i = 0; i < rows.size(); ++i) {
    const double want = expected["losses_double"][i], norm = expected["grad_norms_double"][i];
    EXPECT_NEAR(rows[i].at("loss").get<double>(), want, 1e-4 * want) << "step " << i + 1;
    EXPECT_NEAR(rows[i].at("grad_norm").get<double>(), norm, 1e-3 * norm) << "step " << i + 1;
    EXPECT_NEAR(rows[i].at("learning_rate").get<double>(), expected["learning_rates"][i].get<double>(), 1e-9);
    EXPECT_EQ(rows[i].at("step"), i + 1);
    for (const char* key : {"epoch", "tokens", "tokens_per_second", "peak_memory_bytes", "time"})
      EXPECT_TRUE(rows[i].contains(key)) << key;
  }
  const bool full = !fs::exists(fixture(GetParam()) / "adapter_init");
  for (const char* name : {"metrics.jsonl", "resolved.yaml", "checkpoint-10",
                           full ? "model.safetensors" : "adapter_model.safetensors",
                           full ? "config.json" : "adapter_config.json"})
    EXPECT_TRUE(fs::exists(folder / "out" / name)) << name;
  EXPECT_NE(o.err.find("trainable"), std::string::npos) << o.err;
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Run,
                         testing::Values("gpt2_c_attn", "gpt2_bias_all", "gpt2_full", "llama_gqa_rslora",
                                         "llama_bf16_shards", "llama_save_head_tied", "llama_full_untied",
                                         "qwen2_tied", "qwen3_lora", "qwen3_sgd"));

// must-not-happen 1 and 24: how rows are grouped into micro-batches changes no bit. 8 rows a step each time;
// 3 · 3 and 5 · 2 make a last micro-batch that is short.
TEST(RunGrouping, AccumulationAndPackingKeepEveryBit) {
  const TemporaryFolder folder;
  copy_fixture("llama_gqa_rslora", folder.path());
  std::string rows = read_bytes(folder / "train.jsonl");
  std::string eight;
  std::istringstream lines(rows + rows);
  std::string line;
  for (int i = 0; i < 8 && std::getline(lines, line); ++i) eight += line + "\n";
  write_bytes(folder / "train.jsonl", eight);
  json first;
  std::string adapter;
  for (const auto& [batch, accumulation, threads] :
       {std::tuple{8, 1, 1}, {1, 8, 2}, {3, 3, 1}, {5, 2, 2}, {2, 4, 3}}) {
    const std::string out = "out" + std::to_string(batch);
    const Outcome o = ftengine(
        {"run", "exp.yaml", "--threads", std::to_string(threads), "--set", "training.output_dir=" + out,
         "--set", "training.per_device_train_batch_size=" + std::to_string(batch), "--set",
         "training.gradient_accumulation_steps=" + std::to_string(accumulation), "--set",
         "training.gradient_checkpointing=" + std::string(batch == 2 ? "true" : "false"), "--set",
         "training.max_steps=4", "--set", "training.warmup_steps=0"},
        folder.path());
    expect_success(o);
    const json got = promised(training_rows(folder / out));
    const std::string bytes = read_bytes(folder / out / "adapter_model.safetensors");
    ASSERT_EQ(got.size(), 4u);
    if (first.is_null()) {
      first = got;
      adapter = bytes;
    }
    EXPECT_EQ(got, first) << batch << " x " << accumulation;
    EXPECT_EQ(bytes, adapter) << batch << " x " << accumulation;
  }
}

TEST(RunResolved, RunningResolvedYamlRepeatsTheRun) {
  const TemporaryFolder folder;
  copy_fixture("qwen2_default_targets", folder.path());
  // A drawn adapter with dropout: everything random must come from the recorded seed.
  edit(folder / "exp.yaml", "init_from: adapter_init", "{peft_type: LORA, r: 4, lora_dropout: 0.1}");
  expect_success(ftengine({"run", "exp.yaml", "--set", "training.max_steps=3"}, folder.path()));
  expect_success(ftengine({"run", "out/resolved.yaml", "--set", "training.output_dir=again"}, folder.path()));
  EXPECT_EQ(promised(training_rows(folder / "again")), promised(training_rows(folder / "out")));
  EXPECT_EQ(read_bytes(folder / "again/adapter_model.safetensors"),
            read_bytes(folder / "out/adapter_model.safetensors"));
  EXPECT_EQ(read_bytes(folder / "again/adapter_config.json"), read_bytes(folder / "out/adapter_config.json"));
}

TEST(RunOutput, AFolderThatHoldsARunIsLeftAlone) {
  const TemporaryFolder folder;
  copy_fixture("qwen3_lora", folder.path());
  expect_success(ftengine({"run", "exp.yaml", "--set", "training.max_steps=2"}, folder.path()));
  const std::string before = read_bytes(folder / "out/adapter_model.safetensors");
  expect_bad_input(ftengine({"run", "exp.yaml"}, folder.path()),
                   {"already holds a run", "--resume", "--overwrite"});
  EXPECT_EQ(read_bytes(folder / "out/adapter_model.safetensors"), before);
  expect_success(
      ftengine({"run", "exp.yaml", "--overwrite", "--set", "training.max_steps=3"}, folder.path()));
  EXPECT_NE(read_bytes(folder / "out/adapter_model.safetensors"), before);
  EXPECT_FALSE(fs::exists(folder / "out/checkpoint-2"));
}

TEST(RunResume, EveryChangedSettingIsListed) {
  const TemporaryFolder folder;
  copy_fixture("qwen3_lora", folder.path());
  std::vector<std::string> run = {"run", "exp.yaml", "--set", "training.max_steps=2"};
  expect_success(ftengine(run, folder.path()));
  const auto lines = [&](const std::vector<std::string>& changes) {
    std::vector<std::string> arguments = run;
    arguments.push_back("--resume");
    for (const std::string& c : changes) arguments.insert(arguments.end(), {"--set", c});
    const Outcome o = ftengine(arguments, folder.path());
    EXPECT_EQ(o.code, 2) << o.err;
    std::vector<std::string> all;
    std::istringstream text(o.err);
    for (std::string line; std::getline(text, line);)
      if (!all.empty() || line.starts_with("error: ")) all.push_back(line);
    return all;
  };
  const auto two = lines({"training.learning_rate=0.5", "training.seed=7", "training.logging_steps=2"});
  ASSERT_EQ(two.size(), 3u);
  EXPECT_NE(two[0].find("the configuration has changed"), std::string::npos) << two[0];
  EXPECT_TRUE(two[1].starts_with("  training.learning_rate: the number ")) << two[1];
  EXPECT_TRUE(two[1].ends_with(" then, the number 0.5 now")) << two[1];
  EXPECT_EQ(two[2], "  training.seed: the number 42 then, the number 7 now");

  const auto many = lines(
      {"training.learning_rate=0.5", "training.seed=7", "training.adam_beta1=0.5", "training.adam_beta2=0.5",
       "training.adam_epsilon=0.5", "training.weight_decay=0.5", "training.max_grad_norm=0.5",
       "training.per_device_train_batch_size=7", "training.gradient_accumulation_steps=7",
       "training.lr_scheduler_type=cosine", "training.gradient_checkpointing=true", "data.shuffle=true"});
  ASSERT_EQ(many.size(), 12u);
  EXPECT_EQ(many.back(), "  … and 2 more");
}

TEST(RunOutput, IsNamedSoThatItCanBeFound) {
  const TemporaryFolder folder;
  copy_fixture("qwen3_lora", folder / "exp");
  fs::create_directories(folder / "else/where");
  const Outcome inside = ftengine({"run", "exp.yaml", "--set", "training.max_steps=1"}, folder / "exp");
  EXPECT_NE(inside.err.find("\nadapter: out\n"), std::string::npos) << inside.err;
  const Outcome outside = ftengine(
      {"run", "../../exp/exp.yaml", "--overwrite", "--set", "training.max_steps=1"}, folder / "else/where");
  EXPECT_NE(outside.err.find("\nadapter: " + fs::canonical(folder / "exp/out").string() + "\n"),
            std::string::npos)
      << outside.err;
}

TEST(RunOutput, ADryRunWritesNothing) {
  const TemporaryFolder folder;
  copy_fixture("qwen3_lora", folder.path());
  expect_success(ftengine({"run", "exp.yaml", "--dry-run"}, folder.path()));
  EXPECT_FALSE(fs::exists(folder / "out"));
}

}  // namespace
}  // namespace ft::cli
