// Prompts and prefixes as a user meets them: recipes, files, hybrids, ensembles, and what is refused and why.
// That they train right is tests/parity's.
#include "engine/io/safetensors.h"
#include "tests/cli/program.h"

namespace ft::cli {
namespace {

using nlohmann::json;

json json_of(const fs::path& file) {
  return json::parse(read_bytes(file));
}

/// Two steps on the fixture's base with other adapters, into `folder`/out.
Outcome run(const TemporaryFolder& folder, const std::string& adapter, std::vector<std::string> more = {},
            const std::string& base = "gpt2_prefix") {
  if (!fs::exists(folder / "exp.yaml")) {
    copy_fixture(base, folder.path());
    edit(folder / "exp.yaml", "adapter:\n  init_from: adapter_init\n", "");
  }
  std::vector<std::string> arguments = {
      "run", "exp.yaml", "--overwrite", "--set", "adapter=" + adapter, "--set", "training.max_steps=2"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return ftengine(arguments, folder.path());
}

Outcome generate(const TemporaryFolder& folder, std::vector<std::string> more) {
  std::vector<std::string> arguments = {"generate",         "--model", "model",
                                        "--max-new-tokens", "6",       "--ignore-eos"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return ftengine(arguments, folder.path());
}

TEST(Prompts, AreListed) {
  const Outcome o = ftengine({"list"});
  expect_success(o);
  for (const char* name : {"PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING"})
    EXPECT_NE(o.out.find(name), std::string::npos) << name;
}

// configs/: every key is known, and they run and answer.
TEST(Prompts, ConfigurationsRun) {
  const TemporaryFolder folder;
  expect_success(ftengine({"make-tiny-model", "model"}, folder.path()));
  for (const std::string name :
       {"prompt-tuning", "p-tuning", "prefix-tuning", "p-tuning-v2", "hybrid-prefix-lora"}) {
    SCOPED_TRACE(name);
    expect_success(ftengine({"run", FT_SOURCE_DIR "/configs/" + name + ".yaml", "--set", "model.path=model",
                             "--set", "training.output_dir=" + name, "--set", "training.max_steps=1", "--set",
                             "training.eval_strategy=no", "--set", "generation.max_new_tokens=3"},
                            folder.path()));
    const auto samples = read_jsonl(folder / (name + "/samples.jsonl"));
    ASSERT_EQ(samples.size(), 3u);
    for (const json& s : samples) EXPECT_NE(s["after"], nullptr) << s;
  }
}

struct Saved {
  std::string name, adapter;
  json config, extra;  // what the two files must say
  int64_t rows, width;
  bool encoder;
};
class PromptFiles : public testing::TestWithParam<Saved> {};

// PEFT's fields and tensor; what it has no field for stands in ftengine.json; training goes on from them.
TEST_P(PromptFiles, SayWhatWasTrainedAndLeadBackToIt) {
  const TemporaryFolder folder;
  expect_success(run(folder, GetParam().adapter));
  const fs::path out = folder / "out";
  const json config = json_of(out / "adapter_config.json");
  for (const auto& [key, value] : GetParam().config.items())
    EXPECT_EQ(config.value(key, json()), value) << key;
  for (const char* key : {"num_layers", "num_attention_heads"}) EXPECT_EQ(config[key], 2) << key;
  EXPECT_EQ(config["token_dim"], 20);
  EXPECT_EQ(json_of(out / "ftengine.json").value("adapter", json()), GetParam().extra);
  const SafetensorsFile file(out / "adapter_model.safetensors");
  ASSERT_EQ(file.tensors().size(), 1u);
  EXPECT_EQ(file.tensors()[0].name, "prompt_embeddings");
  EXPECT_EQ(file.tensors()[0].shape, (std::vector<int64_t>{GetParam().rows, GetParam().width}));
  EXPECT_EQ(fs::exists(out / "prompt_encoder.safetensors"), GetParam().encoder);

  // Read back and trained at rate 0, it is written as it was.
  fs::rename(out, folder / "first");
  expect_success(run(folder, "{init_from: first}", {"--set", "training.learning_rate=0"}));
  std::vector<std::string> names = {"adapter_model.safetensors", "adapter_config.json", "ftengine.json"};
  if (GetParam().encoder) names.push_back("prompt_encoder.safetensors");
  for (const std::string& name : names)
    EXPECT_EQ(read_bytes(out / name), read_bytes(folder / "first" / name)) << name;
  // resolved.yaml repeats the run.
  expect_success(
      ftengine({"run", "first/resolved.yaml", "--set", "training.output_dir=again"}, folder.path()));
  EXPECT_EQ(read_bytes(folder / "again/adapter_model.safetensors"),
            read_bytes(out / "adapter_model.safetensors"));

  const Outcome inspected = ftengine({"inspect", "out", "--model", "model", "--json"}, folder.path());
  expect_success(inspected);
  EXPECT_EQ(json::parse(inspected.out)["num_virtual_tokens"], GetParam().rows);
  expect_bad_input(
      ftengine({"merge", "--model", "model", "--adapter", "out", "--out", "merged"}, folder.path()),
      {"cannot be folded", "stands before the text"});
}

INSTANTIATE_TEST_SUITE_P(
    Methods, PromptFiles,
    testing::Values(Saved{"prompt",
                          "{peft_type: PROMPT_TUNING, num_virtual_tokens: 3}",
                          {{"peft_type", "PROMPT_TUNING"},
                           {"num_virtual_tokens", 3},
                           {"prompt_tuning_init", "SAMPLE_VOCAB"}},
                          nullptr,
                          3,
                          20,
                          false},
                    Saved{
                        "p_tuning_lstm",
                        "{peft_type: P_TUNING, num_virtual_tokens: 2, encoder_reparameterization_type: LSTM, "
                        "encoder_hidden_size: 5, encoder_num_layers: 3, encoder_dropout: 0.25}",
                        {{"encoder_reparameterization_type", "LSTM"},
                         {"encoder_hidden_size", 5},
                         {"encoder_num_layers", 3},
                         {"encoder_dropout", 0.25}},
                        nullptr,
                        2,
                        20,
                        true},
                    Saved{"prefix",
                          "{peft_type: PREFIX_TUNING, num_virtual_tokens: 4}",
                          {{"prefix_projection", false}, {"encoder_hidden_size", 20}},
                          {{"prefix_tuning_init", "SAMPLE_VOCAB"}},
                          4,
                          80,
                          false},
                    Saved{"prefix_lstm",
                          "{peft_type: PREFIX_TUNING, num_virtual_tokens: 4, prefix_projection: true, "
                          "encoder_hidden_size: 6, "
                          "encoder_reparameterization_type: LSTM}",
                          {{"prefix_projection", true}, {"encoder_hidden_size", 6}},
                          {{"encoder_reparameterization_type", "LSTM"},
                           {"encoder_num_layers", 2},
                           {"encoder_dropout", 0.0}},
                          4,
                          80,
                          true},
                    Saved{"prefix_of_one_layer",
                          "{peft_type: PREFIX_TUNING, num_virtual_tokens: 4, prefix_tuning_init: RANDOM, "
                          "layers_to_transform: 1}",
                          {{"peft_type", "PREFIX_TUNING"}},
                          {{"layers_to_transform", {1}}, {"prefix_tuning_init", "RANDOM"}},
                          4,
                          40,
                          false}),
    [](const auto& p) { return p.param.name; });

// A list under adapter: trained together, saved side by side, each part a PEFT adapter, read back whole; and
// a resumed run ends in the same bytes.
TEST(Hybrids, AreSavedSideBySideAndReadBack) {
  for (const auto& [parts, folders] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"[{peft_type: PREFIX_TUNING, num_virtual_tokens: 3}, {peft_type: LORA, r: 2}]",
            {"prefix_tuning", "lora"}},
           {"[{peft_type: PROMPT_TUNING, num_virtual_tokens: 3}, {peft_type: LORA, r: 2}]",
            {"prompt_tuning", "lora"}},
           {"[{peft_type: IA3}, {peft_type: PREFIX_TUNING, num_virtual_tokens: 3}]",
            {"ia3", "prefix_tuning"}}}) {
    SCOPED_TRACE(parts);
    const TemporaryFolder folder;
    const std::vector<std::string> often = {"--set", "training.save_strategy=steps",
                                            "--set", "training.save_steps=1",
                                            "--set", "training.learning_rate=0.02"};
    expect_success(run(folder, parts, often));
    for (const std::string& part : folders)
      expect_success(ftengine({"inspect", "out/" + part, "--model", "model"}, folder.path()));
    expect_success(ftengine({"inspect", "out", "--model", "model"}, folder.path()));
    const Outcome together = generate(folder, {"--adapter", "out", "--input-ids", "5,9,71", "--output-ids"}),
                  listed = generate(folder, {"--adapter", "out/" + folders[0], "--adapter",
                                             "out/" + folders[1], "--input-ids", "5,9,71", "--output-ids"});
    expect_success(together);
    EXPECT_EQ(together.out, listed.out);
    const std::string before = read_bytes(folder / ("out/" + folders[1] + "/adapter_model.safetensors"));
    fs::remove_all(folder / "out/checkpoint-2");
    expect_success(ftengine({"run", "exp.yaml", "--set", "adapter=" + parts, "--set", "training.max_steps=2",
                             "--set", "training.save_strategy=steps", "--set", "training.save_steps=1",
                             "--set", "training.learning_rate=0.02", "--resume"},
                            folder.path()));
    EXPECT_EQ(read_bytes(folder / ("out/" + folders[1] + "/adapter_model.safetensors")), before);
  }
}

TEST(Ensembles, AnswerTogetherAndAreShownBesideTheirMembers) {
  const TemporaryFolder folder;
  for (const char* seed : {"1", "2", "3"}) {
    expect_success(run(folder,
                       "{peft_type: PROMPT_TUNING, num_virtual_tokens: 3, prompt_tuning_init: RANDOM}",
                       {"--set", std::string("training.seed=") + seed}));
    fs::rename(folder / "out", folder / seed);
  }
  write_bytes(folder / "prompts.jsonl", "{\"input_ids\": [5, 9, 71]}\n{\"input_ids\": [40]}\n");
  const std::vector<std::string> members = {"--adapter", "1", "--adapter", "2", "--adapter", "3"};
  for (const char* how : {"vote", "mean"}) {
    auto more = members;
    more.insert(more.end(), {"--ensemble", how, "--file", "prompts.jsonl"});
    const Outcome o = generate(folder, more);
    expect_success(o);
    write_bytes(folder / "answers.jsonl", o.out);
    const auto answers = read_jsonl(folder / "answers.jsonl");
    ASSERT_EQ(answers.size(), 2u);
    for (const json& a : answers) {
      EXPECT_EQ(a["ids"].size(), 6u);
      ASSERT_EQ(a["members"].size(), 3u);
    }
    const Outcome alone = generate(folder, {"--adapter", "2", "--input-ids", "5,9,71", "--output-ids"});
    std::string ids;
    for (const json& id : answers[0]["members"][1]["ids"]) ids += (ids.empty() ? "" : ",") + id.dump();
    EXPECT_EQ(alone.out, ids + "\n");
  }
  auto more = members;
  more.insert(more.end(), {"--ensemble", "sum", "--input-ids", "5"});
  expect_bad_input(generate(folder, more), {"sum", "vote and mean"});
  expect_bad_input(generate(folder, {"--adapter", "1", "--ensemble", "vote", "--input-ids", "5"}),
                   {"at least twice"});
  expect_bad_input(generate(folder, {"--adapter", "1", "--adapter", "2", "--input-ids", "5"}),
                   {"two prompts"});
}

TEST(PTuning, SaysWhatAnMlpEncoderIgnores) {
  const TemporaryFolder folder;
  const Outcome o = run(folder, "{peft_type: P_TUNING, encoder_num_layers: 5, encoder_dropout: 0.1}");
  expect_success(o);
  EXPECT_NE(o.err.find("warning: P_TUNING: encoder_num_layers and encoder_dropout have no effect"),
            std::string::npos)
      << o.err;
  fs::remove(folder / "out/prompt_encoder.safetensors");  // as PEFT saves it
  fs::rename(folder / "out", folder / "first");
  expect_success(generate(folder, {"--adapter", "first", "--input-ids", "5,9", "--output-ids"}));
  expect_bad_input(run(folder, "{init_from: first}"), {"prompt_encoder.safetensors", "cannot go on"});
}

struct Refusal {
  std::string adapter;
  std::vector<std::string> says;
};
class PromptRefusal : public testing::TestWithParam<Refusal> {};

TEST_P(PromptRefusal, SaysTheReason) {
  const TemporaryFolder folder;
  expect_bad_input(run(folder, GetParam().adapter), GetParam().says);
}

INSTANTIATE_TEST_SUITE_P(
    Methods, PromptRefusal,
    testing::Values(
        Refusal{"{peft_type: PROMPT_TUNING, num_virtual_tokens: auto}", {"num_virtual_tokens", "TEXT"}},
        Refusal{"{peft_type: PROMPT_TUNING, num_virtual_tokens: 0}", {"num_virtual_tokens"}},
        Refusal{"{peft_type: PROMPT_TUNING, prompt_tuning_init: TEXT}", {"prompt_tuning_init_text"}},
        Refusal{"{peft_type: PROMPT_TUNING, num_tokens: 3}", {"num_tokens", "num_virtual_tokens"}},
        Refusal{"{peft_type: P_TUNING, encoder_type: MLP}",
                {"encoder_type", "encoder_reparameterization_type"}},
        Refusal{"{peft_type: P_TUNING, encoder_reparameterization_type: GRU}", {"MLP", "LSTM"}},
        Refusal{"{peft_type: PREFIX_TUNING, encoder_reparameterization_type: LSTM}", {"prefix_projection"}},
        Refusal{"{peft_type: PREFIX_TUNING, prefix_projection: true, encoder_num_layers: 2}", {"LSTM"}},
        Refusal{"{peft_type: PREFIX_TUNING, layers_to_transform: [2]}", {"layer 2", "0 to 1"}},
        Refusal{"{peft_type: PREFIX_TUNING, num_virtual_tokens: 32}", {"32 virtual tokens", "position"}},
        Refusal{"{peft_type: PREFIX_TUNING, prefix_projection: true, prefix_tuning_init: RANDOM}",
                {"prefix_tuning_init", "prefix_projection"}},
        Refusal{"[{peft_type: PROMPT_TUNING, num_virtual_tokens: 3}, {peft_type: P_TUNING, "
                "num_virtual_tokens: 3}]",
                {"two prompts"}}));

}  // namespace
}  // namespace ft::cli
