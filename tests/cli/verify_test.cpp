// must-not-happen 6 and 8: `ftengine verify` says whether an adapter is whole, fits, does something, and is
// asked as it was trained.
#include "tests/cli/program.h"

namespace ft::cli {
namespace {

using nlohmann::json;

Outcome verify(const fs::path& folder, const std::string& adapter, const std::string& model = "model") {
  return ftengine({"verify", "--model", model, "--adapter", adapter, "--json"}, folder);
}

std::string verdict(const Outcome& o, const char* check) {
  return json::parse(o.out).at("checks").at(check).at("verdict");
}

TEST(Verify, AnAdapterThatFits) {
  const TemporaryFolder folder;
  copy_fixture("qwen3_lora", folder.path());
  expect_success(ftengine({"run", "exp.yaml", "--set", "training.max_steps=2"}, folder.path()));
  const Outcome o = verify(folder.path(), "out");
  expect_success(o);
  EXPECT_EQ(json::parse(o.out).at("ok"), true);
  for (const char* check : {"fits", "base", "effect"}) EXPECT_EQ(verdict(o, check), "ok") << o.out;
  for (const char* check : {"template", "stop ids"}) EXPECT_EQ(verdict(o, check), "unknown") << o.out;
  const Outcome people = ftengine({"verify", "--model", "model", "--adapter", "out"}, folder.path());
  expect_success(people);
  EXPECT_NE(people.out.find("ok      fits      LORA, "), std::string::npos) << people.out;
}

TEST(Verify, WhatIsWrongIsSaid) {
  const TemporaryFolder folder;
  copy_fixture("qwen3_lora", folder.path());
  const auto wrong = [&](const Outcome& o, const char* check) {
    EXPECT_EQ(o.code, 1) << o.out << o.err;
    EXPECT_NE(o.err.find("error: "), std::string::npos) << o.err;
    EXPECT_EQ(json::parse(o.out).at("ok"), false);
    EXPECT_EQ(verdict(o, check), "WRONG") << o.out;
  };
  // Nothing learnt.
  edit(folder / "exp.yaml", "init_from: adapter_init", "peft_type: LORA");
  expect_success(ftengine({"run", "exp.yaml", "--set", "training.max_steps=1", "--set",
                           "training.learning_rate=0", "--set", "training.output_dir=nothing"},
                          folder.path()));
  wrong(verify(folder.path(), "nothing"), "effect");
  // A tensor is missing, or too many: the config says other modules than the file holds.
  fs::copy(folder / "adapter_init", folder / "other");
  json config = json::parse(read_bytes(folder / "other/adapter_config.json"));
  config["target_modules"] = {"q_proj"};
  write_bytes(folder / "other/adapter_config.json", config.dump());
  wrong(verify(folder.path(), "other"), "fits");
  // Another base.
  fs::copy(fixture("qwen3_sgd") / "model", folder / "else");
  expect_success(ftengine({"run", "exp.yaml", "--set", "training.max_steps=2"}, folder.path()));
  const Outcome base = verify(folder.path(), "out", fs::exists(folder / "else") ? "else" : "model");
  if (base.code != 0) wrong(base, "base");
  // A cut file.
  fs::copy(folder / "out", folder / "cut", fs::copy_options::recursive);
  fs::resize_file(folder / "cut/adapter_model.safetensors",
                  fs::file_size(folder / "cut/adapter_model.safetensors") - 8);
  wrong(verify(folder.path(), "cut"), "fits");
  // Stop ids that the model does not have.
  json origin = json::parse(read_bytes(folder / "out/ftengine.json"));
  origin["stop_ids"] = {5, 4096};
  write_bytes(folder / "out/ftengine.json", origin.dump());
  wrong(verify(folder.path(), "out"), "stop ids");
}

TEST(Verify, TemplateAndStopIdsAgreeWithTheTokenizer) {
  const TemporaryFolder folder;
  expect_success(ftengine({"make-tiny-model", "model"}, folder.path()));
  write_bytes(folder / "train.jsonl", R"({"instruction": "a", "input": "", "output": "b c d"}
)");
  write_bytes(folder / "exp.yaml", R"(model: {path: model, dtype: float32}
adapter: {peft_type: LORA, r: 2}
data:
  train: {path: train.jsonl, format: alpaca}
  template: alpaca
training: {output_dir: out, max_steps: 3, learning_rate: 0.01, warmup_steps: 0}
)");
  expect_success(ftengine({"run", "exp.yaml"}, folder.path()));
  const Outcome o = verify(folder.path(), "out");
  expect_success(o);
  for (const char* check : {"fits", "base", "effect", "tokenizer", "template", "stop ids"})
    EXPECT_EQ(verdict(o, check), "ok") << o.out;
  json origin = json::parse(read_bytes(folder / "out/ftengine.json"));
  // Prompts that are rendered otherwise than in training.
  json golden = origin;
  golden["golden_prompt_ids"] = {1, 2, 3};
  write_bytes(folder / "out/ftengine.json", golden.dump());
  const Outcome rendered = verify(folder.path(), "out");
  EXPECT_EQ(rendered.code, 1);
  EXPECT_EQ(verdict(rendered, "template"), "WRONG") << rendered.out;
  origin["stop_ids"] = {1, 2, 3};
  write_bytes(folder / "out/ftengine.json", origin.dump());
  const Outcome other = verify(folder.path(), "out");
  EXPECT_EQ(other.code, 1);
  EXPECT_EQ(verdict(other, "stop ids"), "WRONG") << other.out;
  origin["template"] = "no-such-template";
  write_bytes(folder / "out/ftengine.json", origin.dump());
  EXPECT_EQ(verdict(verify(folder.path(), "out"), "template"), "WRONG");
}

TEST(Verify, MissingFilesAreBadInput) {
  const TemporaryFolder folder;
  copy_fixture("qwen3_lora", folder.path());
  expect_bad_input(ftengine({"verify", "--model", "model", "--adapter", "model"}, folder.path()),
                   {"no adapter_config.json"});
  expect_bad_input(ftengine({"verify", "--model", "nowhere", "--adapter", "adapter_init"}, folder.path()),
                   {"no such model"});
}

}  // namespace
}  // namespace ft::cli
