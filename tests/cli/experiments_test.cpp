// configs/experiments: each recipe runs a few steps on a small drawn model of its family, with rows of its
// format, as its head comment says: model.path and data.train.path are the user's.
#include <map>

#include "models/family.h"
#include "models/load.h"
#include "tests/cli/program.h"
#include "tests/cli/tiny_model.h"

namespace ft::cli {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int64_t kVocab = 320;  // what make-tiny-model's tokenizer needs

/// The family of a recipe by the model's public name.
std::string family_of(const std::string& yaml) {
  for (const auto& [word, family] : std::map<std::string, std::string>{
           {"bloom", "bloom"}, {"Qwen3", "qwen3"}, {"qwen3", "qwen3"}, {"Qwen2", "qwen2"}, {"gpt2", "gpt2"}})
    if (yaml.find(word) != std::string::npos) return family;
  return "llama";
}

ordered_json config_of(const std::string& family) {
  ordered_json json = {{"model_type", family}, {"vocab_size", kVocab}};
  if (family == "gpt2")
    json.update({{"n_embd", 16}, {"n_head", 2}, {"n_layer", 2}, {"n_positions", 512}});
  else if (family == "bloom")
    json.update({{"hidden_size", 16}, {"n_head", 2}, {"n_layer", 2}});
  else
    json.update({{"hidden_size", 16},
                 {"intermediate_size", 24},
                 {"num_hidden_layers", 2},
                 {"num_attention_heads", 2},
                 {"num_key_value_heads", 1},
                 {"head_dim", 8},
                 {"max_position_embeddings", 512}});
  return json;
}

/// A Hugging Face folder of the family, with the byte-level tokenizer of make-tiny-model.
void make_model(const std::string& family, const fs::path& folder, const fs::path& tokenizer) {
  const ordered_json json = config_of(family);
  const Family& of = find_family(family, "config.json");
  save_tiny_model(*tiny_model(of.from_json(JsonConfig(json, "config.json"))), folder);
  for (const auto& entry : fs::directory_iterator(tokenizer))
    if (entry.path().filename().string().find("token") != std::string::npos)
      fs::copy(entry.path(), folder / entry.path().filename(), fs::copy_options::overwrite_existing);
}

TEST(Experiments, EachRecipeRunsOnASmallModelOfItsFamily) {
  const TemporaryFolder folder;
  expect_success(ftengine({"make-tiny-model", "base"}, folder.path()));
  std::string alpaca, completion;
  for (int i = 0; i < 12; ++i) {
    alpaca +=
        json{{"instruction", fmt::format("Question {}", i)}, {"input", ""}, {"output", "Yes."}}.dump() + "\n";
    completion += json{{"prompt", fmt::format("Act {}.", i)}, {"completion", "I do."}}.dump() + "\n";
  }
  write_bytes(folder / "alpaca.jsonl", alpaca);
  write_bytes(folder / "prompt_completion.jsonl", completion);
  int seen = 0, files = 0;
  for (const auto& entry : fs::directory_iterator(FT_SOURCE_DIR "/configs/experiments")) {
    ++files;
    ASSERT_EQ(entry.path().extension(), ".yaml");
    const std::string yaml = read_bytes(entry.path()), name = entry.path().stem();
    SCOPED_TRACE(name);
    EXPECT_TRUE(yaml.starts_with("#")) << "the head comment says the command and what it shows";
    EXPECT_NE(yaml.find("ftengine run configs/experiments/" + name + ".yaml"), std::string::npos);
    std::string family = family_of(yaml);
    const bool known = std::any_of(families().begin(), families().end(),
                                   [&](const Family& f) { return f.model_type == family; });
    if (!known) family = "llama";  // a program without the family still reads the recipe
    if (!fs::exists(folder / family)) make_model(family, folder / family, folder / "base");
    const bool pairs = yaml.find("prompt_completion") != std::string::npos;
    std::vector<std::string> arguments = {
        "run",   entry.path(),
        "--set", "model.path=" + family,
        "--set", std::string("data.train.path=") + (pairs ? "prompt_completion" : "alpaca") + ".jsonl",
        "--set", "training.output_dir=runs/" + name,
        "--set", "training.max_steps=2"};
    const auto set_where = [&](const char* key, const char* section_and_value) {
      if (yaml.find(std::string("  ") + key + ":") == std::string::npos) return;
      arguments.insert(arguments.end(), {"--set", section_and_value});
    };
    set_where("encoder_hidden_size", "adapter.encoder_hidden_size=8");
    set_where("max_new_tokens", "generation.max_new_tokens=4");
    const Outcome o = ftengine(arguments, folder.path());
    expect_success(o);
    EXPECT_TRUE(fs::exists(folder / ("runs/" + name + "/metrics.jsonl"))) << o.err;
    EXPECT_EQ(read_jsonl(folder / ("runs/" + name + "/metrics.jsonl")).back()["step"], 2);
    ++seen;
  }
  EXPECT_EQ(seen, files);
  EXPECT_GE(seen, 11) << "recipes of prompts and prefixes alone";
}

}  // namespace
}  // namespace ft::cli
