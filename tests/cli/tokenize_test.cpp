// `ftengine tokenize`: every kind of path, text and JSONL, both ways.
#include "tests/cli/program.h"

namespace ft::cli {
namespace {

using nlohmann::json;

fs::path tokenizer(const std::string& name) {
  return fs::path(FT_SOURCE_DIR) / "tests/text/data" / name;
}

std::vector<std::string> tokenize(const fs::path& model, std::vector<std::string> more) {
  more.insert(more.begin(), {"tokenize", "--model", model.string()});
  return more;
}

std::string joined(const json& ids) {
  std::string text;
  for (const json& id : ids) text += (text.empty() ? "" : ",") + std::to_string(id.get<int>());
  return text + "\n";
}

TEST(Tokenize, AFolderOrAFileOfEveryKind) {
  const std::pair<const char*, const char*> paths[] = {{"qwen2", ""},
                                                       {"llama", "tokenizer.json"},
                                                       {"t5", ""},
                                                       {"bert", ""},
                                                       {"bert-txt", ""},
                                                       {"gpt2-files", "vocab.json"},
                                                       {"spm-bpe", ""},
                                                       {"spm-unigram", "spiece.model"},
                                                       {"ranks", "tokenizer.model"},
                                                       {"chatglm", ""}};
  for (const auto& [name, file] : paths) {
    const json golden = json::parse(read_bytes(tokenizer(name) / "golden.json"));
    const json& c = golden.at("cases").at(7);
    const Outcome o = ftengine(tokenize(tokenizer(name) / file, {"--text", c.at("text")}));
    expect_success(o);
    EXPECT_EQ(o.out, joined(c.at("ids"))) << name;
    if (!c.contains("special")) continue;
    const Outcome special =
        ftengine(tokenize(tokenizer(name) / file, {"--text", c.at("text"), "--add-special"}));
    EXPECT_EQ(special.out, joined(c.at("special"))) << name;
  }
}

TEST(Tokenize, JsonlAndBack) {
  const TemporaryFolder folder;
  const json golden = json::parse(read_bytes(tokenizer("llama3") / "golden.json"));
  std::string rows, ids;
  for (const json& c : golden.at("cases")) {
    rows += json{{"text", c.at("text")}}.dump() + "\n";
    ids += json{{"ids", c.at("ids")}}.dump() + "\n";
  }
  write_bytes(folder / "rows.jsonl", rows);
  const Outcome encoded =
      ftengine(tokenize(tokenizer("llama3"), {"--file", (folder / "rows.jsonl").string()}));
  expect_success(encoded);
  EXPECT_EQ(encoded.out, ids);
  write_bytes(folder / "ids.jsonl", ids);
  const Outcome decoded = ftengine(tokenize(
      tokenizer("llama3"), {"--file", (folder / "ids.jsonl").string(), "--decode", "--add-special"}));
  expect_success(decoded);
  EXPECT_EQ(decoded.out, rows);
}

TEST(Tokenize, SpecialTokensInTheText) {
  const auto run = [](std::vector<std::string> more) {
    const Outcome o = ftengine(tokenize(tokenizer("qwen2"), std::move(more)));
    expect_success(o);
    return o.out;
  };
  const std::string end = run({"--text", "<|im_end|>"});
  EXPECT_EQ(end.find(','), std::string::npos);
  EXPECT_NE(run({"--text", "<|im_end|>", "--plain"}).find(','), std::string::npos);
  EXPECT_EQ(run({"--text", end, "--decode"}), "\n");
  EXPECT_EQ(run({"--text", end, "--decode", "--add-special"}), "<|im_end|>\n");
}

TEST(Tokenize, BadInput) {
  const TemporaryFolder folder;
  const auto expect_error = [&](std::vector<std::string> more, const std::string& part) {
    const Outcome o = ftengine(tokenize(tokenizer("qwen2"), std::move(more)));
    EXPECT_EQ(o.code, 2);
    EXPECT_NE(o.err.find(part), std::string::npos) << o.err;
  };
  expect_error({}, "--text");
  expect_error({"--text", "1,x", "--decode"}, "1,2,3");
  expect_error({"--text", "99999999999", "--decode"}, "1,2,3");
  write_bytes(folder / "a.jsonl", "{\"text\": \"a\"}\n{\"ids\": [1]}\n");
  expect_error({"--file", (folder / "a.jsonl").string()}, "a.jsonl:2");
  expect_error({"--file", (folder / "a.jsonl").string(), "--decode"}, "a.jsonl:1");
  const Outcome none = ftengine(tokenize(folder.path(), {"--text", "a"}));
  EXPECT_EQ(none.code, 2);
  EXPECT_NE(none.err.find("no tokenizer"), std::string::npos) << none.err;
  const Outcome help = ftengine({"tokenize", "--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_NE(help.out.find("--add-special"), std::string::npos);
}

}  // namespace
}  // namespace ft::cli
