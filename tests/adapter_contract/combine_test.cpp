// Weighted combinations against PEFT's add_weighted_adapter (tools/fixtures/make_combined.py), and what
// cannot be combined.
#include "adapters/combine.h"

#include <gtest/gtest.h>

#include "engine/io/json.h"
#include "engine/io/safetensors.h"
#include "engine/io/text_file.h"
#include "tests/adapter_contract/subject.h"
#include "tests/read_tensor.h"

namespace ft::contract {
namespace {

const fs::path kFolder = fs::path(FT_SOURCE_DIR) / "tests/fixtures/combined";

/// lora_B · lora_A of every module: signs and order of singular vectors are nobody's business.
std::vector<double> changes(const fs::path& path) {
  std::vector<double> all;
  const SafetensorsFile file(path);
  std::vector<std::string> names;
  for (const TensorInfo& t : file.tensors())
    if (t.name.find("lora_A") != std::string::npos) names.push_back(t.name);
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    const std::string other = std::string(name).replace(name.find("lora_A"), 6, "lora_B");
    const std::vector<float> a = read_tensor(file, name), b = read_tensor(file, other);
    const int64_t rank = file.find(name)->shape[0], in = file.find(name)->shape[1],
                  out = file.find(other)->shape[0];
    for (int64_t n = 0; n < out; ++n)
      for (int64_t k = 0; k < in; ++k) {
        double sum = 0;
        for (int64_t i = 0; i < rank; ++i) sum += static_cast<double>(b[n * rank + i]) * a[i * in + k];
        all.push_back(sum);
      }
  }
  return all;
}

struct Asked {
  std::vector<WeightedAdapter> adapters;
  CombineOptions options;
};

Asked asked(const std::string& name) {
  const Json json = read_json_file(kFolder / "combine.json").at(name);
  Asked a;
  for (size_t i = 0; i < json["adapters"].size(); ++i)
    a.adapters.push_back(
        {kFolder / json["adapters"][i].get<std::string>(), json["weights"][i].get<double>()});
  a.options.type = name == "cat" ? Combination::cat : name == "svd" ? Combination::svd : Combination::linear;
  a.options.svd_rank = json.value("svd_rank", 0);
  return a;
}

class Combine : public testing::TestWithParam<std::string> {};

TEST_P(Combine, IsWhatPeftMakes) {
  const Asked a = asked(GetParam());
  const TemporaryFolder out;
  const int64_t rank = combine_loras(a.adapters, a.options, out.path());
  const SafetensorsFile theirs(kFolder / (GetParam() + ".safetensors")),
      ours(out.path() / "adapter_model.safetensors");
  ASSERT_EQ(ours.tensors().size(), theirs.tensors().size());
  for (const TensorInfo& t : theirs.tensors()) {
    ASSERT_TRUE(ours.find(t.name)) << t.name;
    EXPECT_EQ(ours.find(t.name)->shape, t.shape) << t.name;
    if (GetParam() == "svd") continue;
    const std::vector<float> want = read_tensor(theirs, t.name), got = read_tensor(ours, t.name);
    EXPECT_LT(distance({got.begin(), got.end()}, {want.begin(), want.end()}), 1e-6) << t.name;
  }
  EXPECT_LT(distance(changes(out.path() / "adapter_model.safetensors"),
                     changes(kFolder / (GetParam() + ".safetensors"))),
            1e-5);
  const Json config = read_json_file(out.path() / "adapter_config.json");
  EXPECT_EQ(config["r"], rank);
  EXPECT_EQ(config["lora_alpha"], rank);
  EXPECT_EQ(config["use_rslora"], false);
}

INSTANTIATE_TEST_SUITE_P(Types, Combine, testing::Values("linear", "cat", "svd"),
                         [](const auto& p) { return p.param; });

// The adapters' own sum in the model is what cat makes one adapter of.
TEST(CombineInTheModel, CatActsAsAllOfThemTogether) {
  const std::vector<fs::path> folders = {kFolder / "a", kFolder / "b", kFolder / "c"};
  Subject together = Subject::loaded("gpt2_c_attn", folders);
  together.adapters().all()[1]->set_scale(0.5);
  together.adapters().all()[2]->set_scale(-1);
  const TemporaryFolder out;
  combine_loras({{folders[0], 1}, {folders[1], 0.5}, {folders[2], -1}}, {.type = Combination::cat},
                out.path());
  Subject one = Subject::loaded("gpt2_c_attn", {out.path()});
  EXPECT_LT(distance(one.losses(), together.losses()), 1e-5);
}

TEST(CombineInTheModel, RefusesWhatIsNoPlainLora) {
  const TemporaryFolder saved, out;
  const auto refuses = [&](const std::vector<WeightedAdapter>& adapters, Combination type,
                           const std::string& part) {
    try {
      combine_loras(adapters, {.type = type}, out.path());
      ADD_FAILURE() << "expected: " << part;
    } catch (const InputError& e) {
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    }
    EXPECT_TRUE(fs::is_empty(out.path()));
  };
  refuses({{kFolder / "a", 1}, {kFolder / "c", 1}}, Combination::linear, "one rank");
  refuses({{kFolder, 1}}, Combination::cat, "no adapter_config.json");
  for (const std::string adapter :
       {"{peft_type: IA3}", "{peft_type: LORA, bias: all}", "{peft_type: LORA, modules_to_save: [ln_f]}"}) {
    const TemporaryFolder folder;
    Subject("gpt2_c_attn", {adapter}).save(folder.path());
    refuses({{kFolder / "a", 1}, {folder.path(), 1}}, Combination::cat,
            adapter.find("IA3") != std::string::npos ? "only LORA" : "no part of a plain LORA");
  }
  Subject("llama_gqa_rslora", {"{peft_type: LORA}"}).save(saved.path());
  const TemporaryFolder other;
  Subject("gpt2_c_attn", {"{peft_type: LORA}"}).save(other.path());
  refuses({{other.path(), 1}, {saved.path(), 1}}, Combination::cat, "another base");
}

}  // namespace
}  // namespace ft::contract
