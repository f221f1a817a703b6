// `ftengine merge`: the merged folder gives the logits of base + adapter, ties included (must-not-happen 10,
// 11).
#include <algorithm>
#include <cmath>

#include "engine/io/safetensors.h"
#include "models/load.h"
#include "tests/cli/program.h"

namespace ft::cli {
namespace {

using nlohmann::json;

std::string dir(const std::string& name, const std::string& part) {
  return (fixture(name) / part).string();
}

/// The number behind `label` in the report.
double figure(const std::string& report, const std::string& label) {
  const size_t at = report.find(label);
  EXPECT_NE(at, std::string::npos) << label << " is not in " << report;
  return at == std::string::npos ? NAN : std::stod(report.substr(at + label.size()));
}

Outcome merge(const std::string& name, const fs::path& out, std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {
      "merge", "--model", dir(name, "model"), "--adapter", dir(name, "adapter_init"), "--out", out.string()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return ftengine(arguments);
}

class Merge : public testing::TestWithParam<std::string> {};

// The reference's logits were computed by Transformers and PEFT on base + adapter; here the merged folder
// must give them without any adapter: a training set of one row, evaluated by the run loop, has the
// reference's loss.
TEST_P(Merge, MergedFolderGivesTheLogitsOfBaseAndAdapter) {
  const TemporaryFolder folder;
  const Outcome o = merge(GetParam(), folder / "merged", {"--dtype", "float32"});
  expect_success(o);
  const double scale = figure(o.out, "largest logit ");
  EXPECT_LE(figure(o.out, "max |difference| "), 1e-5 * std::max(1.0, scale)) << o.out;
  EXPECT_GT(figure(o.out, "moves these logits by up to "), 1e-3) << o.out;
  EXPECT_NE(o.out.find("64 of 64 equal"), std::string::npos) << o.out;

  copy_fixture(GetParam(), folder / "run");
  const json expected = json::parse(read_bytes(folder / "run/expected.json"));
  const Outcome trained = ftengine(
      {"run", "exp.yaml", "--set", "adapter={peft_type: NONE}", "--set", "model.path=../merged", "--set",
       "model.dtype=float32", "--set", "training.max_steps=1", "--set", "training.save_strategy=no", "--set",
       "training.eval_strategy=no", "--set", "training.loraplus_lr_ratio=null"},
      folder / "run");
  expect_success(trained);
  const json row = read_jsonl(folder / "run/out/metrics.jsonl").at(0);
  const double want = expected["losses_double"][0];
  EXPECT_NEAR(row.at("loss").get<double>(), want, 2e-5 * want);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Merge,
                         testing::Values("gpt2_c_attn", "gpt2_bias_all", "gpt2_one_head_lora_only",
                                         "llama_gqa_rslora", "llama_rank_patterns", "llama_save_head_tied",
                                         "llama_save_head_untied", "llama_lora_on_tied_head",
                                         "qwen2_bias_all", "qwen2_tied", "qwen3_lora"));

INSTANTIATE_TEST_SUITE_P(LoraFamily, Merge,
                         testing::Values("gpt2_dora", "qwen2_dora_bias", "llama_dora_loraplus",
                                         "gpt2_c_attn_parts", "gpt2_vera", "llama_loha", "bloom_loha",
                                         "llama_lokr", "qwen2_lokr_both", "bloom_lokr_factor"));

INSTANTIATE_TEST_SUITE_P(FactorsBiasesNorms, Merge,
                         testing::Values("gpt2_ia3", "llama_ia3_feedforward", "qwen3_ia3_odd", "gpt2_bitfit",
                                         "qwen2_bitfit", "gpt2_ln_tuning", "llama_ln_tuning"));

struct Tie {
  const char* name;
  bool base, merged;
};
class MergeTie : public testing::TestWithParam<Tie> {};

TEST_P(MergeTie, IsAnExplicitFactOfTheResult) {
  const TemporaryFolder folder;
  expect_success(merge(GetParam().name, folder / "m"));
  EXPECT_EQ(json::parse(read_bytes(fixture(GetParam().name) / "model/config.json"))["tie_word_embeddings"],
            GetParam().base);
  EXPECT_EQ(json::parse(read_bytes(folder / "m/config.json"))["tie_word_embeddings"], GetParam().merged);
  const SafetensorsFile weights(folder / "m/model.safetensors");
  EXPECT_EQ(weights.find("lm_head.weight") != nullptr, !GetParam().merged);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, MergeTie,
                         testing::Values(Tie{"llama_save_head_tied", true, false},
                                         Tie{"llama_lora_on_tied_head", true, false},
                                         Tie{"qwen2_tied", true, true}, Tie{"gpt2_c_attn", true, true},
                                         Tie{"llama_save_head_untied", false, false}));

// The other half of a tie: the embedding has a trained copy, the head keeps the base's matrix. From training
// to the reloaded merge.
TEST(MergeTrained, ACopyOfTheEmbeddingAloneUntiesToo) {
  const TemporaryFolder folder;
  copy_fixture("qwen2_tied", folder.path());
  edit(folder / "exp.yaml", "init_from: adapter_init",
       "{peft_type: LORA, r: 4, modules_to_save: [embed_tokens]}");
  expect_success(ftengine({"run", "exp.yaml", "--set", "training.max_steps=4"}, folder.path()));
  const Outcome o = ftengine(
      {"merge", "--model", "model", "--adapter", "out", "--out", "m", "--dtype", "float32"}, folder.path());
  expect_success(o);
  EXPECT_LE(figure(o.out, "max |difference| "), 1e-5 * std::max(1.0, figure(o.out, "largest logit ")))
      << o.out;
  EXPECT_EQ(json::parse(read_bytes(folder / "m/config.json"))["tie_word_embeddings"], false);
  const SafetensorsFile merged(folder / "m/model.safetensors"), base(folder / "model/model.safetensors");
  EXPECT_TRUE(std::ranges::equal(merged.bytes(*merged.find("lm_head.weight")),
                                 base.bytes(*base.find("model.embed_tokens.weight"))));
  EXPECT_FALSE(std::ranges::equal(merged.bytes(*merged.find("model.embed_tokens.weight")),
                                  base.bytes(*base.find("model.embed_tokens.weight"))));
}

/// "N prompt tokens" of a report of `generate`.
int prompt_tokens(const std::vector<std::string>& model, const fs::path& folder) {
  std::vector<std::string> arguments = {"generate", "--prompt", "one", "--max-new-tokens", "1"};
  arguments.insert(arguments.end(), model.begin(), model.end());
  const Outcome o = ftengine(arguments, folder);
  expect_success(o);
  const size_t end = o.err.find(" prompt tokens"), begin = o.err.rfind('\n', end) + 1;
  EXPECT_NE(end, std::string::npos) << o.err;
  return end == std::string::npos ? -1 : std::stoi(o.err.substr(begin, end - begin));
}

// must-not-happen 6: who asks the merged model, or one that was trained whole, asks as it was trained.
TEST(MergeTrained, TheTemplateAndEndTokensGoWithTheModel) {
  const TemporaryFolder folder;
  expect_success(ftengine({"make-tiny-model", "model"}, folder.path()));
  write_bytes(folder / "train.jsonl", "{\"prompt\": \"one\", \"completion\": \"eins\"}\n");
  const auto experiment = [&](const std::string& adapter, const std::string& out) {
    write_bytes(folder / (out + ".yaml"),
                "model: {path: model}\nadapter: " + adapter +
                    "\ndata:\n  train: {path: train.jsonl, format: prompt_completion}\n"
                    "  template: {prompt: 'In German please, and in one word only: {instruction} = ', "
                    "completion_suffix: '.'}\n"
                    "training: {output_dir: " +
                    out + ", max_steps: 2, save_strategy: 'no'}\n");
    expect_success(ftengine({"run", out + ".yaml"}, folder.path()));
  };
  experiment("{peft_type: LORA, r: 2}", "out");
  experiment("{peft_type: NONE}", "whole");
  expect_success(
      ftengine({"merge", "--model", "model", "--adapter", "out", "--out", "merged"}, folder.path()));
  const int trained = prompt_tokens({"--model", "model", "--adapter", "out"}, folder.path());
  EXPECT_GT(trained, 40);
  EXPECT_EQ(prompt_tokens({"--model", "merged"}, folder.path()), trained);
  EXPECT_EQ(prompt_tokens({"--model", "whole"}, folder.path()), trained);
  EXPECT_LT(prompt_tokens({"--model", "merged", "--template", "none"}, folder.path()), 10);
  fs::remove(folder / "merged/ftengine.json");
  EXPECT_NE(prompt_tokens({"--model", "merged"}, folder.path()), trained);
}

TEST(MergeTrained, RecordedEndTokensEndAnAnswer) {
  const TemporaryFolder folder;
  copy_fixture("qwen3_lora", folder.path());
  for (const bool adapted : {false, true}) {
    std::vector<std::string> generate = {"generate", "--model",          "model", "--input-ids",
                                         "5,6,7",    "--max-new-tokens", "8",     "--output-ids"};
    if (adapted) generate.insert(generate.end(), {"--adapter", "adapter_init"});
    const fs::path home = folder / (adapted ? "adapter_init" : "model");
    const std::string all = ftengine(generate, folder.path()).out;
    const std::string first = all.substr(0, all.find(','));
    ASSERT_GT(std::count(all.begin(), all.end(), ','), 1) << all;
    write_bytes(home / "ftengine.json", "{\"stop_ids\": [" + first + "]}");
    EXPECT_EQ(ftengine(generate, folder.path()).out, first + "\n");
    write_bytes(home / "ftengine.json", "{\"stop_ids\": [-1]}");
    expect_bad_input(ftengine(generate, folder.path()), {"ftengine.json", "stop_ids", "-1"});
    fs::remove(home / "ftengine.json");
  }
}

TEST(MergeTypes, OutputTypeIsTheBasesOwnUnlessAsked) {
  const TemporaryFolder folder;
  const auto type = [&](const std::string& out) {
    const SafetensorsFile weights(folder / out / "model.safetensors");
    return weights.tensors().front().type;
  };
  EXPECT_NE(merge("llama_bf16_shards", folder / "own").out.find("bfloat16 (the base's own)"),
            std::string::npos);
  EXPECT_EQ(type("own"), "BF16");
  EXPECT_NE(merge("llama_rank_patterns", folder / "half").out.find("float16 (the base's own)"),
            std::string::npos);
  EXPECT_EQ(type("half"), "F16");
  expect_success(merge("llama_bf16_shards", folder / "wide", {"--dtype", "float32"}));
  EXPECT_EQ(type("wide"), "F32");
  EXPECT_EQ(json::parse(read_bytes(folder / "wide/config.json"))["dtype"], "float32");
}

TEST(MergeFolder, IsWrittenWholeOrNotAtAll) {
  const TemporaryFolder folder;
  expect_success(merge("qwen3_lora", folder / "deep/er/m"));
  EXPECT_TRUE(fs::exists(folder / "deep/er/m/generation_config.json"));
  expect_bad_input(merge("qwen3_lora", folder / "deep/er/m"), {"exists", "--overwrite"});
  expect_success(merge("qwen3_lora", folder / "deep/er/m", {"--overwrite", "--dtype", "bfloat16"}));
  EXPECT_EQ(SafetensorsFile(folder / "deep/er/m/model.safetensors").tensors().front().type, "BF16");
  // Nothing is left of a merge that fails, and nothing is replaced by it.
  const std::string before = read_bytes(folder / "deep/er/m/model.safetensors");
  expect_bad_input(
      ftengine({"merge", "--model", dir("qwen3_lora", "model"), "--adapter",
                dir("qwen2_tied", "adapter_init"), "--out", (folder / "deep/er/m").string(), "--overwrite"}),
      {"another base"});
  EXPECT_EQ(read_bytes(folder / "deep/er/m/model.safetensors"), before);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "deep/er"), {}), 1);
}

TEST(MergeFolder, OverwriteNeverCostsAnythingButAModel) {
  const TemporaryFolder folder;
  write_bytes(folder / "home/thesis.txt", "five years");
  expect_bad_input(merge("qwen3_lora", folder / "home", {"--overwrite"}), {"thesis.txt"});
  EXPECT_EQ(read_bytes(folder / "home/thesis.txt"), "five years");
  write_bytes(folder / "file", "x");
  expect_bad_input(merge("qwen3_lora", folder / "file", {"--overwrite"}), {"no folder"});
  copy_fixture("qwen3_lora", folder / "c");
  expect_bad_input(
      ftengine({"merge", "--model", (folder / "c/model").string(), "--adapter",
                (folder / "c/adapter_init").string(), "--out", (folder / "c/model").string(), "--overwrite"}),
      {"to be merged"});
}

TEST(MergeInput, FaultsAreNamed) {
  const TemporaryFolder folder;
  const std::string out = (folder / "m").string(), model = dir("qwen3_lora", "model"),
                    adapter = dir("qwen3_lora", "adapter_init");
  expect_bad_input(ftengine({"merge", "--model", "nowhere", "--adapter", adapter, "--out", out}),
                   {"nowhere", "no such model"});
  expect_bad_input(ftengine({"merge", "--model", model, "--adapter", "nowhere", "--out", out}),
                   {"nowhere", "no such adapter"});
  expect_bad_input(ftengine({"merge", "--model", model, "--adapter", model, "--out", out}),
                   {"nothing to merge"});
  expect_bad_input(
      ftengine({"merge", "--model", model, "--adapter", adapter, "--out", out, "--dtype", "int8"}),
      {"int8", "bfloat16"});
  expect_bad_input(ftengine({"merge", "--model", model, "--adapter", adapter}), {"--out"});
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

}  // namespace
}  // namespace ft::cli
