// DoRA, LoRA+, other starts, parts of projections, AdaLoRA and VeRA as a user meets them: their
// configurations run, what they save and repeat, what they refuse and why. That they train right is
// tests/parity's.
#include <cstring>

#include "engine/io/safetensors.h"
#include "tests/cli/program.h"

namespace ft::cli {
namespace {

using nlohmann::json;

json saved_config(const fs::path& folder) {
  return json::parse(read_bytes(folder / "adapter_config.json"));
}

/// A few steps of the fixture's experiment with another adapter, into `folder`/out.
Outcome run(const TemporaryFolder& folder, const std::string& base, const std::string& adapter,
            std::vector<std::string> more = {}) {
  copy_fixture(base, folder.path());
  edit(folder / "exp.yaml", "init_from: adapter_init", "{" + adapter + "}");
  std::vector<std::string> arguments = {"run", "exp.yaml", "--set", "training.max_steps=4"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return ftengine(arguments, folder.path());
}

class LoraFamilyConfig : public testing::TestWithParam<std::string> {};

TEST_P(LoraFamilyConfig, Runs) {
  const TemporaryFolder folder;
  expect_success(ftengine({"make-tiny-model", "model"}, folder.path()));
  expect_success(
      ftengine({"run", FT_SOURCE_DIR "/configs/" + GetParam() + ".yaml", "--set", "model.path=model", "--set",
                "training.output_dir=out", "--set", "training.max_steps=2", "--set",
                "training.eval_strategy=no", "--set", "generation.prompts=[]", "--set",
                GetParam() == "adalora" ? "adapter.total_step=100" : "training.seed=1"},
               folder.path()));
}

INSTANTIATE_TEST_SUITE_P(Configs, LoraFamilyConfig,
                         testing::Values("dora", "lora-plus", "pissa", "adalora", "vera", "loha", "lokr"));

// W stays, so what is saved is the difference from the start, and resolved.yaml the start.
TEST(Pissa, IsSavedAsALoraOfTwiceTheRankAndRepeatsItself) {
  const TemporaryFolder folder;
  expect_success(run(folder, "qwen3_lora",
                     "peft_type: LORA, r: 3, lora_alpha: 6, init_lora_weights: pissa_niter_2, "
                     "rank_pattern: {k_proj: 2}, target_modules: [q_proj, k_proj]"));
  const json config = saved_config(folder / "out");
  EXPECT_EQ(config["r"], 6);
  EXPECT_EQ(config["lora_alpha"], 12);
  EXPECT_EQ(config["init_lora_weights"], true);
  EXPECT_EQ(config["rank_pattern"]["k_proj"], 4);
  const SafetensorsFile file(folder / "out/adapter_model.safetensors");
  EXPECT_EQ(file.find("base_model.model.model.layers.0.self_attn.k_proj.lora_A.weight")->shape,
            (std::vector<int64_t>{4, 24}));
  expect_success(ftengine({"run", "out/resolved.yaml", "--set", "training.output_dir=again"}, folder.path()));
  for (const char* name : {"adapter_model.safetensors", "adapter_config.json"})
    EXPECT_EQ(read_bytes(folder / ("again/" + std::string(name))),
              read_bytes(folder / ("out/" + std::string(name))));
}

// A part is a LoRA on the whole module, for PEFT too; from there training goes on in the part alone.
TEST(Parts, KeepTheOtherRowsOfBAtZero) {
  const TemporaryFolder folder;
  expect_success(run(folder, "gpt2_c_attn", "peft_type: LORA, r: 2, target_modules: [c_attn.q, c_attn.v]"));
  for (const char* out : {"out", "on"}) {
    EXPECT_EQ(saved_config(folder / out)["target_modules"],
              json({"transformer.h.0.attn.c_attn", "transformer.h.1.attn.c_attn"}));
    const SafetensorsFile file(folder / out / "adapter_model.safetensors");
    const TensorInfo& b = *file.find("base_model.model.transformer.h.0.attn.c_attn.lora_B.weight");
    std::vector<float> values(static_cast<size_t>(element_count(b)));
    file.read_all(b, values.data());
    for (size_t i = 0; i < values.size(); ++i)
      EXPECT_EQ(values[i] == 0, i >= values.size() / 3 && i < 2 * values.size() / 3) << i;
    if (out == std::string("out"))
      expect_success(ftengine({"run", "exp.yaml", "--set", "adapter={init_from: out}", "--set",
                               "training.output_dir=on", "--set", "training.max_steps=2"},
                              folder.path()));
  }
}

TEST(AdaLora, TakesRanksAwayAndMergesWhatIsLeft) {
  const TemporaryFolder folder;
  expect_success(run(folder, "llama_gqa_rslora",
                     "peft_type: ADALORA, init_r: 4, target_r: 2, deltaT: 1, lora_alpha: 64, "
                     "target_modules: [q_proj, v_proj]"));
  const json config = saved_config(folder / "out");
  EXPECT_EQ(config["total_step"], 4);
  int left = 0;
  for (const auto& [name, kept] : config["rank_pattern"].items())
    for (const bool one : kept) left += one;
  EXPECT_EQ(left, 2 * 4);
  const Outcome merged =
      ftengine({"merge", "--model", "model", "--adapter", "out", "--out", "merged"}, folder.path());
  expect_success(merged);
  EXPECT_NE(merged.out.find("64 of 64 equal"), std::string::npos) << merged.out;
}

// PEFT's VeRA has no exclude_modules: what is left is named.
TEST(Vera, NamesWhatExcludeModulesLeaves) {
  const TemporaryFolder folder;
  expect_success(
      run(folder, "qwen3_lora",
          "peft_type: VERA, r: 4, target_modules: [q_proj], exclude_modules: [layers.0.self_attn.q_proj]"));
  const json config = saved_config(folder / "out");
  EXPECT_FALSE(config.contains("exclude_modules"));
  EXPECT_EQ(config["target_modules"], json({"model.layers.1.self_attn.q_proj"}));
}

// Hugging Face stores GPT-2's layers as Conv1D, which PEFT's LoHa and LoKr lack.
TEST(Lycoris, SaysWherePeftCannotReadWhatIsSaved) {
  const TemporaryFolder folder;
  const Outcome out = run(folder, "gpt2_c_attn", "peft_type: LOKR, r: 2");
  expect_success(out);
  EXPECT_NE((out.out + out.err).find("PEFT has no LOKR"), std::string::npos) << out.err;
}

// B = 0 is how LoRA starts; with A = 0 as well nothing would ever move.
TEST(InitFrom, IsRefusedWhereBothFactorsAreZero) {
  const TemporaryFolder folder;
  copy_fixture("llama_top_layer_only", folder.path());
  expect_success(ftengine({"run", "exp.yaml", "--set", "training.max_steps=1"}, folder.path()));
  const fs::path file = folder / "adapter_init/adapter_model.safetensors";
  std::string bytes = read_bytes(file);
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  std::fill(bytes.begin() + 8 + static_cast<int64_t>(header), bytes.end(), '\0');
  write_bytes(file, bytes);
  expect_bad_input(ftengine({"run", "exp.yaml", "--overwrite"}, folder.path()),
                   {"lora_B", "both zero", "neither ever gets a gradient"});
}

struct Refusal {
  std::string base, adapter;
  std::vector<std::string> says, more;
};
class LoraFamilyRefusal : public testing::TestWithParam<Refusal> {};

TEST_P(LoraFamilyRefusal, SaysTheReason) {
  const TemporaryFolder folder;
  expect_bad_input(run(folder, GetParam().base, GetParam().adapter, GetParam().more), GetParam().says);
}

INSTANTIATE_TEST_SUITE_P(
    Family, LoraFamilyRefusal,
    testing::Values(
        Refusal{"gpt2_c_attn", "peft_type: LORA, target_modules: [c_attn.w]", {"c_attn.w", "c_attn.q"}, {}},
        Refusal{"gpt2_c_attn", "peft_type: IA3, target_modules: [c_attn.q]", {"c_attn.q"}, {}},
        Refusal{"gpt2_c_attn",
                "peft_type: LORA, use_dora: true, target_modules: [c_attn.q]",
                {"use_dora", "c_attn"},
                {}},
        Refusal{"qwen3_lora",
                "peft_type: LORA, use_dora: true, target_modules: [lm_head]",
                {"use_dora", "lm_head"},
                {}},
        Refusal{"qwen3_lora",
                "peft_type: LORA, use_dora: true, init_lora_weights: pissa",
                {"use_dora", "pissa"},
                {}},
        Refusal{"qwen3_lora", "peft_type: LORA, r: 3, init_lora_weights: orthogonal", {"even"}, {}},
        Refusal{"qwen3_lora", "peft_type: LORA, init_lora_weights: pissa_niter_x", {"pissa_niter_N"}, {}},
        Refusal{"qwen3_lora", "peft_type: LORA, r: 20, init_lora_weights: pissa", {"lower r"}, {}},
        Refusal{"qwen3_lora",
                "peft_type: ADALORA, tinit: 2, tfinal: 2, total_step: 4",
                {"tinit", "tfinal", "4 steps"},
                {}},
        Refusal{"qwen3_lora", "peft_type: ADALORA, r: 8", {"init_r"}, {}},
        Refusal{"qwen3_lora", "peft_type: ADALORA, init_r: 2, target_r: 3", {"target_r"}, {}},
        Refusal{"qwen3_lora", "peft_type: LOHA, r: 65", {"adapter.r", "64"}, {}},
        Refusal{"qwen3_lora", "peft_type: LOHA, rank_dropout: 0.1", {"rank_dropout", "leave it at 0"}, {}},
        Refusal{
            "qwen3_lora", "peft_type: LOKR, module_dropout: 0.1", {"module_dropout", "leave it at 0"}, {}},
        Refusal{"qwen3_lora", "peft_type: LOKR, use_effective_conv2d: true", {"use_effective_conv2d"}, {}},
        Refusal{"qwen3_lora", "peft_type: LOKR, decompose_factor: 0", {"decompose_factor", "-1"}, {}},
        Refusal{"qwen3_lora", "peft_type: LOKR, init_weights: pissa", {"init_weights", "lycoris"}, {}},
        Refusal{"qwen3_lora", "peft_type: LOHA, target_modules: [lm_head]", {"lm_head", "LORA"}, {}},
        Refusal{"qwen3_lora",
                "peft_type: IA3",
                {"loraplus_lr_ratio", "LORA"},
                {"--set", "training.loraplus_lr_ratio=4"}}));

}  // namespace
}  // namespace ft::cli
