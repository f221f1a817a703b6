// `trainable: [regex]`: alone, beside an adapter, saved, loaded, merged, and refused with the nearest names.
#include <set>

#include "engine/io/safetensors.h"
#include "tests/cli/program.h"

namespace ft::cli {
namespace {

Outcome run(const TemporaryFolder& folder, const std::string& base, const std::string& sections) {
  copy_fixture(base, folder.path());
  edit(folder / "exp.yaml", "adapter:\n  init_from: adapter_init\n", sections);
  return ftengine({"run", "exp.yaml", "--set", "training.max_steps=2"}, folder.path());
}

std::set<std::string> names(const fs::path& folder) {
  std::set<std::string> all;
  const SafetensorsFile file(folder / "adapter_model.safetensors");
  for (const TensorInfo& t : file.tensors()) all.insert(t.name);
  return all;
}

Outcome ask(const TemporaryFolder& folder, std::vector<std::string> more) {
  std::vector<std::string> arguments = {"generate",     "--input-ids",      "3,1,4,1,5", "--output-ids",
                                        "--ignore-eos", "--max-new-tokens", "8",         "--model"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return ftengine(arguments, folder.path());
}

TEST(Trainable, AloneIsSavedUnderBaseNamesReloadedAndMerged) {
  const TemporaryFolder folder;
  expect_success(run(folder, "gpt2_c_attn", "trainable: ['1\\.mlp\\..*', wte.weight]\n"));
  EXPECT_EQ(names(folder / "out"),
            (std::set<std::string>{"transformer.wte.weight", "transformer.h.1.mlp.c_fc.weight",
                                   "transformer.h.1.mlp.c_fc.bias", "transformer.h.1.mlp.c_proj.weight",
                                   "transformer.h.1.mlp.c_proj.bias"}));
  const SafetensorsFile file(folder / "out/adapter_model.safetensors");
  EXPECT_EQ(file.find("transformer.h.1.mlp.c_fc.weight")->shape, (std::vector<int64_t>{24, 96}))
      << "as the base's file has it";
  const Outcome adapted = ask(folder, {"model", "--adapter", "out"});
  expect_success(adapted);
  expect_success(
      ftengine({"merge", "--model", "model", "--adapter", "out", "--out", "merged"}, folder.path()));
  EXPECT_EQ(ask(folder, {"merged"}).out, adapted.out);
  EXPECT_NE(read_bytes(folder / "merged/config.json").find("\"tie_word_embeddings\": true"),
            std::string::npos)
      << "head and embedding stayed one";
}

TEST(Trainable, BesideAnAdapterIsSavedSideBySide) {
  const TemporaryFolder folder;
  expect_success(run(folder, "llama_gqa_rslora",
                     "adapter: {peft_type: LORA, r: 2}\ntrainable: ['.*layernorm.weight']\n"));
  EXPECT_EQ(names(folder / "out/trainable").size(), 4u);
  EXPECT_TRUE(fs::exists(folder / "out/lora/adapter_config.json"));
  expect_success(ask(folder, {"model", "--adapter", "out"}));
  expect_success(ftengine({"run", "out/resolved.yaml", "--overwrite", "--dry-run"}, folder.path()));
}

struct Refusal {
  const char *name, *sections;
  std::vector<std::string> says;
};
class TrainableRefusal : public testing::TestWithParam<Refusal> {};

TEST_P(TrainableRefusal, SaysTheReason) {
  const TemporaryFolder folder;
  expect_bad_input(run(folder, "llama_gqa_rslora", GetParam().sections), GetParam().says);
}

INSTANTIATE_TEST_SUITE_P(
    All, TrainableRefusal,
    testing::Values(Refusal{"NoMatch",
                            "trainable: [input_layernrom.weight]\n",
                            {"exp.yaml", "input_layernrom", "did you mean", "input_layernorm.weight"}},
                    Refusal{"NoRegularExpression", "trainable: ['(']\n", {"regular expression"}},
                    Refusal{"BesideAll", "adapter: {peft_type: NONE}\ntrainable: [norm.weight]\n", {"NONE"}},
                    Refusal{"TrainedAlready",
                            "adapter: {peft_type: LN_TUNING}\ntrainable: ['model.norm.weight']\n",
                            {"model.norm.weight", "already"}}),
    [](const auto& p) { return std::string(p.param.name); });

TEST(Combine, WritesAnAdapterThatGenerateTakes) {
  const TemporaryFolder folder;
  const fs::path combined = fs::path(FT_SOURCE_DIR) / "tests/fixtures/combined";
  copy_fixture("gpt2_c_attn", folder.path());
  const auto combine = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"combine", "--adapter", (combined / "a").string(), "--adapter",
                                          (combined / "b").string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return ftengine(arguments, folder.path());
  };
  expect_success(combine({"--weights", "0.5,-1", "--combination-type", "cat", "--out", "sum"}));
  const Outcome one = ask(folder, {"model", "--adapter", "sum"});
  expect_success(one);
  EXPECT_EQ(ask(folder, {"model", "--adapter", (combined / "a").string(), "--adapter",
                         (combined / "b").string(), "--adapter-scale", "0.5", "--adapter-scale", "-1"})
                .out,
            one.out);
  expect_bad_input(combine({"--out", "sum"}), {"stands there already"});
  expect_bad_input(combine({"--weights", "1", "--out", "other"}), {"--weights", "2 adapters"});
  expect_bad_input(ask(folder, {"model", "--adapter", "sum", "--adapter-scale", "1", "--adapter-scale", "2"}),
                   {"--adapter-scale"});
}

// A method that is no linear change says why it cannot be merged.
TEST(Bottleneck, CannotBeMergedAndSaysWhy) {
  const TemporaryFolder folder;
  const Outcome o = run(folder, "llama_gqa_rslora", "adapter: {peft_type: BOTTLENECK}\n");
  expect_success(o);
  EXPECT_EQ(o.err.find("ftengine merge"), std::string::npos) << "not offered";
  expect_bad_input(
      ftengine({"merge", "--model", "model", "--adapter", "out", "--out", "merged"}, folder.path()),
      {"BOTTLENECK", "cannot be folded into the weights: what it computes"});
  EXPECT_FALSE(fs::exists(folder / "merged"));
}

}  // namespace
}  // namespace ft::cli
