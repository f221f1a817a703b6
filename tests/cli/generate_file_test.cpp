// generate --file: a row of messages is asked as training on it renders it.
#include <map>
#include <sstream>

#include "engine/core/stream.h"
#include "tests/cli/program.h"

namespace ft::cli {
namespace {

using nlohmann::json;

struct Home : TemporaryFolder {
  Home() { expect_success(ftengine({"make-tiny-model", "model"}, path())); }
  Outcome generate(const std::string& rows, std::vector<std::string> more = {}) const {
    write_bytes(*this / "rows.jsonl", rows);
    more.insert(more.begin(),
                {"generate", "--model", "model", "--file", "rows.jsonl", "--max-new-tokens", "4"});
    return ftengine(more, path());
  }
};

TEST(GenerateFile, MessagesAreRenderedAsInTraining) {
  const Home home;
  const std::string turns = R"([{"role": "system", "content": "S"}, {"role": "user", "content": "a"},
    {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}])";
  const json messages = json::parse(turns);
  const std::string text =
      "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n"
      "<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n";
  const Outcome tokens = ftengine({"tokenize", "--model", "model", "--text", text}, home.path());
  const json without_system = json(messages.begin() + 1, messages.end());
  std::string rows = json{{"messages", messages}}.dump() + "\n";
  rows += json{{"messages", without_system}, {"system", "S"}}.dump() + "\n";
  rows += json{{"messages", without_system}}.dump() + "\n";  // --system's
  rows += json::parse(R"({"system": "S", "conversations": [{"from": "human", "value": "a"},
    {"from": "gpt", "value": "b"}, {"from": "human", "value": "c"}]})")
              .dump() +
          "\n";
  rows += "{\"input_ids\": [" + tokens.out.substr(0, tokens.out.size() - 1) + "]}\n";
  const Outcome o = home.generate(rows, {"--template", "chatml", "--system", "S"});
  expect_success(o);
  std::vector<std::string> lines;
  std::istringstream all(o.out);
  for (std::string line; std::getline(all, line);) lines.push_back(line);
  ASSERT_EQ(lines.size(), 5u) << o.out;
  for (const std::string& line : lines) EXPECT_EQ(line, lines.back());
}

TEST(GenerateFile, BadMessagesAreNamedWithTheirLine) {
  const Home home;
  const std::string good = R"({"prompt": "a"})";
  const auto row = [&](const std::string& messages) { return good + "\n{\"messages\": " + messages + "}\n"; };
  expect_bad_input(
      home.generate(row(R"([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])")),
      {"rows.jsonl:2:", "the assistant's", "take it out"});
  expect_bad_input(home.generate(row("[]")), {"rows.jsonl:2:", "missing"});
  expect_bad_input(home.generate(row(R"([{"role": "user"}])")), {"rows.jsonl:2:", "content"});
  expect_bad_input(
      home.generate(row(R"([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}])")),
      {"rows.jsonl:2:", "message 2"});
  expect_bad_input(home.generate("{\"text\": \"a\"}\n"), {"rows.jsonl:1:", "messages, prompt"});
  expect_bad_input(home.generate(row(R"([{"role": "user", "content": "a"}])"), {"--template", "none"}),
                   {"rows.jsonl:2:", "template"});
}

/// Adapters of every kind that acts on tokens of its own, trained for two steps on one base, by name.
const std::map<std::string, std::string>& kinds() {
  static const std::map<std::string, std::string> all = {
      {"lora", "{peft_type: LORA, r: 4, target_modules: all-linear, init_lora_weights: gaussian}"},
      {"dora", "{peft_type: LORA, r: 2, use_dora: true, target_modules: [q_proj, down_proj]}"},
      {"ia3", "{peft_type: IA3}"},
      {"lokr", "{peft_type: LOKR, r: 2, target_modules: [q_proj, v_proj]}"},
      {"vera", "{peft_type: VERA, r: 8, target_modules: [q_proj]}"},
      {"bottleneck", "{peft_type: BOTTLENECK, reduction_factor: 4}"},
      {"prefix", "{peft_type: PREFIX_TUNING, num_virtual_tokens: 3}"},
      {"both", "[{peft_type: PROMPT_TUNING, num_virtual_tokens: 4}, {peft_type: LORA, r: 2}]"}};
  return all;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream all(text);
  for (std::string line; std::getline(all, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> devices() {
  std::vector<std::string> names = device_names();
  std::erase_if(names, [](const std::string& name) { return name != "cpu" && name != "cuda-sim"; });
  return names;
}

class OneBatch : public testing::TestWithParam<std::string> {};

TEST_P(OneBatch, EveryRowIsAnsweredAsItsAdapterAloneDoes) {
  const TemporaryFolder folder;
  copy_fixture("llama_gqa_rslora", folder.path());
  std::vector<std::string> named, rows;
  for (const auto& [name, adapter] : kinds()) {
    expect_success(
        ftengine({"run", "exp.yaml", "--set", "adapter=" + adapter, "--set", "training.max_steps=2", "--set",
                  "training.learning_rate=0.05", "--set", "training.output_dir=" + name},
                 folder.path()));
    named.insert(named.end(), {"--named", name + "=" + name});
    for (const char* ids : {"[5, 9, 2]", "[7]"})
      rows.push_back(fmt::format(R"({{"input_ids": {}, "adapter": "{}"}})", ids, name));
  }
  rows.insert(rows.begin() + 3, R"({"input_ids": [5, 9, 2]})");  // the base's
  std::swap(rows[0], rows.back());                               // not side by side in the file
  std::string with, without;
  for (const std::string& row : rows) {
    with += row + "\n";
    without += row.substr(0, row.find(']') + 1) + "}\n";
  }
  write_bytes(folder / "with.jsonl", with);
  write_bytes(folder / "without.jsonl", without);
  const auto answers = [&](const std::string& file, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {
        "generate",         "--model", "model",       "--device",      GetParam(), "--file",      file,
        "--max-new-tokens", "8",       "--do-sample", "--temperature", "1.5",      "--ignore-eos"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome o = ftengine(arguments, folder.path());
    expect_success(o);
    std::vector<json> all;
    for (const std::string& line : lines_of(o.out)) all.push_back(json::parse(line));
    return all;
  };
  const std::vector<json> together = answers("with.jsonl", named), base = answers("without.jsonl", {});
  std::map<std::string, std::vector<json>> alone;
  for (const auto& [name, adapter] : kinds()) alone[name] = answers("without.jsonl", {"--adapter", name});
  ASSERT_EQ(together.size(), rows.size());
  int changed = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string name = together[i].value("adapter", "");
    EXPECT_EQ(name, json::parse(rows[i]).value("adapter", "")) << i;
    EXPECT_EQ(together[i]["ids"], (name.empty() ? base : alone.at(name))[i]["ids"]) << name << ", row " << i;
    changed += together[i]["ids"] != base[i]["ids"];
  }
  EXPECT_GE(changed, static_cast<int>(kinds().size())) << "rows whose adapter shows";
}

INSTANTIATE_TEST_SUITE_P(Devices, OneBatch, testing::ValuesIn(devices()),
                         [](const auto& info) { return info.param == "cpu" ? "cpu" : "sim"; });

TEST(NamedAdapters, WhatActsOnAllRowsIsRefused) {
  const TemporaryFolder folder;
  copy_fixture("llama_gqa_rslora", folder.path());
  const auto train = [&](const std::string& name, const std::string& adapter) {
    expect_success(ftengine({"run", "exp.yaml", "--set", "adapter=" + adapter, "--set",
                             "training.max_steps=1", "--set", "training.output_dir=" + name},
                            folder.path()));
  };
  train("norms", "{peft_type: LN_TUNING}");
  train("head", "{peft_type: LORA, r: 2, target_modules: [lm_head]}");
  train("lora", "{peft_type: LORA, r: 2}");
  write_bytes(folder / "rows.jsonl", "{\"input_ids\": [1], \"adapter\": \"lora\"}\n");
  const auto generate = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"generate", "--model", "model", "--max-new-tokens", "2"});
    return ftengine(more, folder.path());
  };
  const std::vector<std::string> file = {"--file", "rows.jsonl"};
  const auto of_file = [&](std::vector<std::string> more) {
    more.insert(more.end(), file.begin(), file.end());
    return generate(more);
  };
  expect_success(of_file({"--named", "lora=lora"}));
  expect_bad_input(of_file({"--named", "a=norms"}),
                   {"norms", "LN_TUNING", "parameters of the base", "--adapter"});
  expect_bad_input(of_file({"--named", "a=head"}), {"head", "output head", "--adapter"});
  expect_bad_input(of_file({"--named", "other=lora"}), {"rows.jsonl:1:", "\"lora\" was not given", "other"});
  expect_bad_input(of_file({}), {"rows.jsonl:1:", "--named NAME=FOLDER"});
  expect_bad_input(of_file({"--named", "lora"}), {"--named", "NAME=FOLDER"});
  expect_bad_input(of_file({"--named", "a=lora", "--named", "a=head"}), {"two adapters have the name a"});
  expect_bad_input(of_file({"--named", "a=lora", "--adapter", "lora"}), {"--named", "not both"});
  expect_bad_input(generate({"--named", "a=lora", "--input-ids", "1"}), {"--named", "--file"});
}

TEST(NamedAdapters, ShareATemplate) {
  const Home home;
  for (const char* name : {"chatml", "human_assistant"})
    expect_success(
        ftengine({"run", FT_SOURCE_DIR "/configs/quickstart-tiny.yaml", "--set", "model.path=model", "--set",
                  std::string("data.template=") + name, "--set", "training.max_steps=1", "--set",
                  "adapter={peft_type: LORA, r: 2}", "--set", "training.eval_strategy=no", "--set",
                  std::string("training.output_dir=") + name},
                 home.path()));
  const std::vector<std::string> both = {"--named", "a=chatml", "--named", "b=human_assistant"};
  const std::string row = "{\"prompt\": \"x\", \"adapter\": \"b\"}\n";
  expect_bad_input(home.generate(row, both), {"human_assistant", "rendered otherwise", "--template"});
  std::vector<std::string> insisting = both;
  insisting.insert(insisting.end(), {"--template", "human_assistant"});
  const Outcome o = home.generate(row, insisting);
  expect_success(o);
  EXPECT_NE(o.err.find("warning: chatml"), std::string::npos) << o.err;
}

}  // namespace
}  // namespace ft::cli
