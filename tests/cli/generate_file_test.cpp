// generate --file: a row of messages is asked as training on it renders it.
#include <sstream>

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

}  // namespace
}  // namespace ft::cli
