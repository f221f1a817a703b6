// IA3, BITFIT and LN_TUNING as a user meets them: what they train by default, what they refuse and why, what
// their files say to PEFT. That they train right is tests/parity's.
#include <algorithm>
#include <set>

#include "engine/io/safetensors.h"
#include "tests/cli/program.h"

namespace ft::cli {
namespace {

using nlohmann::json;

std::set<std::string> tensor_names(const fs::path& folder) {
  std::set<std::string> names;
  const SafetensorsFile file(folder / "adapter_model.safetensors");
  for (const TensorInfo& t : file.tensors()) names.insert(t.name);
  return names;
}
json saved_config(const fs::path& folder) {
  return json::parse(read_bytes(folder / "adapter_config.json"));
}

/// One step of the fixture's experiment with another adapter, into `folder`/out.
Outcome run(const TemporaryFolder& folder, const std::string& base, const std::string& adapter,
            std::vector<std::string> more = {}) {
  copy_fixture(base, folder.path());
  edit(folder / "exp.yaml", "init_from: adapter_init", "{peft_type: " + adapter + "}");
  std::vector<std::string> arguments = {"run", "exp.yaml", "--set", "training.max_steps=1"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return ftengine(arguments, folder.path());
}

TEST(SmallMethods, AreListedWithTheirLearningRates) {
  const Outcome o = ftengine({"list"});
  expect_success(o);
  for (const char* name : {"IA3", "BITFIT", "LN_TUNING", "0.003", "0.001"})
    EXPECT_NE(o.out.find(name), std::string::npos) << name;
}

// configs/: every key is known, and they run (on a drawn model; it has no biases, which BITFIT must say).
TEST(SmallMethods, ConfigurationsRun) {
  const TemporaryFolder folder;
  expect_success(ftengine({"make-tiny-model", "model"}, folder.path()));
  const auto experiment = [&](const std::string& name) {
    return ftengine({"run", FT_SOURCE_DIR "/configs/" + name + ".yaml", "--set", "model.path=model", "--set",
                     "training.output_dir=" + name, "--set", "training.max_steps=1", "--set",
                     "training.eval_strategy=no", "--set", "generation.prompts=[]"},
                    folder.path());
  };
  expect_success(experiment("ia3"));
  expect_success(experiment("ln-tuning"));
  expect_bad_input(experiment("bitfit"), {"BITFIT", "has none"});
}

struct Default {
  std::string adapter, fixture;  // the fixture's adapter was made by PEFT (or as PEFT does) from its defaults
};
class SmallMethodDefault : public testing::TestWithParam<Default> {};

TEST_P(SmallMethodDefault, TrainsAndSavesWhatPeftDoes) {
  const TemporaryFolder folder;
  expect_success(run(folder, GetParam().fixture, GetParam().adapter));
  EXPECT_EQ(tensor_names(folder / "out"), tensor_names(fixture(GetParam().fixture) / "adapter_init"));
  const json ours = saved_config(folder / "out"),
             theirs = saved_config(fixture(GetParam().fixture) / "adapter_init");
  for (const char* key : {"target_modules", "feedforward_modules"}) {
    if (!theirs.contains(key)) continue;
    const auto sorted = [&](const json& j) { return j.at(key).get<std::set<std::string>>(); };
    EXPECT_EQ(sorted(ours), sorted(theirs)) << key;
  }
  EXPECT_EQ(ours.value("fan_in_fan_out", false), theirs.value("fan_in_fan_out", false));
}

INSTANTIATE_TEST_SUITE_P(Methods, SmallMethodDefault,
                         testing::Values(Default{"IA3", "gpt2_ia3"}, Default{"LN_TUNING", "gpt2_ln_tuning"},
                                         Default{"BITFIT", "gpt2_bitfit"}, Default{"BITFIT", "qwen2_bitfit"}),
                         [](const auto& p) { return p.param.adapter + "_" + p.param.fixture; });

// must-not-happen 8, and the method's own promise: it starts at the base.
TEST(Ia3, StartsAsTheBaseAndSaysSo) {
  const TemporaryFolder folder;
  const Outcome o = run(folder, "llama_gqa_rslora", "IA3", {"--set", "training.learning_rate=0"});
  expect_success(o);
  EXPECT_NE(o.err.find("warning: the adapter changes nothing"), std::string::npos) << o.err;
  EXPECT_EQ(saved_config(folder / "out")["feedforward_modules"], json({"down_proj"}));
  const Outcome inspected = ftengine({"inspect", (folder / "out").string(), "--json"});
  expect_success(inspected);
  EXPECT_EQ(json::parse(inspected.out)["changes_the_base"], false);
  const TemporaryFolder other;
  const Outcome trained = run(other, "llama_gqa_rslora", "IA3");
  expect_success(trained);
  EXPECT_EQ(trained.err.find("changes nothing"), std::string::npos) << trained.err;
}

struct Subset {
  std::string base, adapter;
  size_t tensors;  // all in layer 1
};
class SmallMethodSubset : public testing::TestWithParam<Subset> {};

// PEFT knows no layers_to_transform for IA3 and LN_TUNING, and refuses feed-forward modules that are no
// targets: the file lists modules by their whole names. It must also lead back to the same adapter here.
TEST_P(SmallMethodSubset, OfLayersIsSavedSoThatItIsFoundAgain) {
  const TemporaryFolder folder;
  expect_success(run(folder, GetParam().base, GetParam().adapter));
  const auto names = tensor_names(folder / "out");
  EXPECT_EQ(names.size(), GetParam().tensors);
  for (const std::string& name : names) EXPECT_NE(name.find(".1."), std::string::npos) << name;
  const json config = saved_config(folder / "out");
  EXPECT_EQ(config.contains("layers_to_transform"), config["peft_type"] == "BITFIT");
  for (const json& name : config.value("feedforward_modules", json::array()))
    EXPECT_TRUE(std::count(config["target_modules"].begin(), config["target_modules"].end(), name)) << name;
  expect_success(ftengine({"inspect", (folder / "out").string(), "--model", (folder / "model").string()}));
}

INSTANTIATE_TEST_SUITE_P(
    Methods, SmallMethodSubset,
    testing::Values(Subset{"gpt2_c_attn", "IA3, layers_to_transform: [1]", 2},
                    Subset{"qwen3_lora", "IA3, layers_to_transform: 1", 3},
                    Subset{"gpt2_c_attn", "IA3, target_modules: [c_proj], layers_to_transform: [1]", 2},
                    Subset{"gpt2_c_attn", "LN_TUNING, layers_to_transform: [1]", 4},
                    Subset{"gpt2_c_attn", "BITFIT, layers_to_transform: [1]", 6},
                    Subset{"qwen2_tied", "'BITFIT', bias_names: ['layers.1.self_attn.[qv]_proj.bias']", 2}));

// The default's mlp.c_proj is a feed-forward module although target_modules says c_proj.
TEST(Ia3, FeedForwardModulesThatTargetsDoNotNameAreSavedByWholeNames) {
  const TemporaryFolder folder;
  expect_success(run(folder, "gpt2_c_attn", "IA3, target_modules: [c_proj]"));
  const json config = saved_config(folder / "out");
  EXPECT_EQ(config["feedforward_modules"],
            json({"transformer.h.0.mlp.c_proj", "transformer.h.1.mlp.c_proj"}));
  EXPECT_EQ(config["target_modules"].size(), 4u);
  const SafetensorsFile file(folder / "out/adapter_model.safetensors");
  EXPECT_EQ(file.find("base_model.model.transformer.h.1.mlp.c_proj.ia3_l")->shape,
            (std::vector<int64_t>{1, 96}));
  EXPECT_EQ(file.find("base_model.model.transformer.h.1.attn.c_proj.ia3_l")->shape,
            (std::vector<int64_t>{24, 1}));
}

TEST(Ia3, NoFeedForwardModulesIsAnAnswer) {
  const TemporaryFolder folder;
  expect_success(run(folder, "llama_gqa_rslora", "IA3, feedforward_modules: []"));
  EXPECT_EQ(saved_config(folder / "out")["feedforward_modules"], json::array());
  const SafetensorsFile file(folder / "out/adapter_model.safetensors");
  EXPECT_EQ(file.find("base_model.model.model.layers.0.mlp.down_proj.ia3_l")->shape,
            (std::vector<int64_t>{32, 1}));
}

struct Refusal {
  std::string base, adapter;
  std::vector<std::string> says;
};
class SmallMethodRefusal : public testing::TestWithParam<Refusal> {};

TEST_P(SmallMethodRefusal, SaysTheReason) {
  const TemporaryFolder folder;
  expect_bad_input(run(folder, GetParam().base, GetParam().adapter), GetParam().says);
}

INSTANTIATE_TEST_SUITE_P(
    Methods, SmallMethodRefusal,
    testing::Values(
        Refusal{"llama_gqa_rslora", "BITFIT", {"llama", "has none", "LORA"}},
        Refusal{"gpt2_c_attn", "BITFIT, bias_names: [q_proj.bias]", {"q_proj.bias", "c_attn.bias"}},
        Refusal{"gpt2_c_attn", "BITFIT, bias_names: ['(']", {"regular expression"}},
        Refusal{"qwen2_tied", "BITFIT, layers_to_transform: [2]", {"layer 2", "0 to 1"}},
        Refusal{"gpt2_c_attn", "BITFIT, target_modules: [c_attn]", {"bias_names"}},
        Refusal{"llama_gqa_rslora", "LN_TUNING, target_modules: [input_layernrom]", {"input_layernorm'?"}},
        Refusal{"qwen3_lora", "LN_TUNING, target_modules: [q_proj]", {"q_proj", "q_norm"}},
        Refusal{"llama_gqa_rslora", "LN_TUNING, target_modules: all-linear", {"all-linear"}},
        Refusal{"gpt2_c_attn", "LN_TUNING, modules_to_save: [ln_f]", {"ln_f", "already"}},
        Refusal{"llama_gqa_rslora", "IA3, target_modules: [lm_head]", {"lm_head", "modules_to_save"}},
        Refusal{"llama_gqa_rslora", "IA3, target_modules: [q_prj]", {"q_prj", "q_proj"}},
        Refusal{"llama_gqa_rslora",
                "IA3, target_modules: [q_proj], feedforward_modules: [down_proj]",
                {"feedforward_modules", "target_modules"}},
        Refusal{"llama_gqa_rslora", "IA3, lora_alpha: 3", {"lora_alpha"}}));

}  // namespace
}  // namespace ft::cli
