// Tokenizer files that are broken, contradict themselves or mean harm: one line about what is wrong, never a
// crash.
#include "tests/text/text_test.h"

namespace ft {
namespace {

using namespace ft::testing;

/// A small valid tokenizer.json to break.
Json valid() {
  return Json::parse(R"({
    "added_tokens": [{"id": 4, "content": "<end>", "special": true}],
    "normalizer": null, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}, "post_processor": null,
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "c": 3}, "merges": [["a", "b"]]}})");
}

class BadFile : public ::testing::Test {
 protected:
  void expect(const Json& file, const std::vector<std::string>& parts) { expect_text(file.dump(), parts); }
  void expect_text(const std::string& text, std::vector<std::string> parts) {
    const auto path = scratch_.write("tokenizer.json", text);
    parts.insert(parts.begin(), path.string());
    expect_bad_input([&] { Tokenizer::open(scratch_.path()); }, parts);
  }
  ScratchFolder scratch_;
};

TEST_F(BadFile, TheValidOneLoads) {
  scratch_.write("tokenizer.json", valid().dump());
  EXPECT_EQ(Tokenizer::open(scratch_.path())->encode("ab<end>c"), (std::vector<int32_t>{2, 4, 3}));
}

TEST_F(BadFile, BrokenJson) {
  expect_text("", {":1"});
  expect_text("{\n\"model\": {\n", {":2"});
  expect_text("[1, 2]", {"model"});
  expect_text("{\"model\": \"\xFF\"}", {":1"});
  expect_text(std::string(100000, '['), {":1"});
}

TEST_F(BadFile, KindsThatAreNotSupported) {
  Json file = valid();
  file["model"]["type"] = "WordLevel";
  expect(file, {"WordLevel", "BPE, Unigram and WordPiece"});
  file = valid();
  file["normalizer"] = {{"type", "Odd"}};
  expect(file, {"normalizer", "Odd"});
  file = valid();
  file["post_processor"] = {{"type", "Odd"}};
  expect(file, {"post_processor", "Odd"});
  file = valid();
  file["decoder"] = {{"type", "CTC"}};
  expect(file, {"decoder", "CTC"});
  file = valid();
  file["model"]["end_of_word_suffix"] = "</w>";
  expect(file, {"end_of_word_suffix"});
  file = valid();
  file["model"]["dropout"] = 0.1;
  expect(file, {"dropout"});
}

TEST_F(BadFile, UnigramAndWordPiece) {
  Json file = valid();
  file["added_tokens"] = Json::array();
  file["pre_tokenizer"] = nullptr;
  const auto unigram = [&](const char* model, std::vector<std::string> parts) {
    file["model"] = Json::parse(model);
    expect(file, std::move(parts));
  };
  unigram(R"({"type": "Unigram", "vocab": {}})", {"vocab", "list"});
  unigram(R"({"type": "Unigram", "vocab": [["a", -1], ["b"]]})", {"entry 1"});
  unigram(R"({"type": "Unigram", "vocab": [["a", "x"]]})", {"entry 0"});
  unigram(R"({"type": "Unigram", "vocab": [["a", 1e300]]})", {"token 0", "range"});
  unigram(R"({"type": "Unigram", "unk_id": 1, "vocab": [["a", 0]]})", {"unk_id"});
  unigram(R"({"type": "Unigram", "vocab": [["a", 0], ["a", 0]]})", {"two ids"});
  unigram(R"({"type": "WordPiece", "vocab": {"a": 0}})", {"unk_token", "[UNK]"});
  unigram(R"({"type": "WordPiece", "vocab": {"[UNK]": 0}, "max_input_chars_per_word": -1})", {"-1"});
  file["model"] = Json::parse(R"({"type": "Unigram", "vocab": [["a", 0]]})");
  file["pre_tokenizer"] = {{"type", "ByteLevel"}};
  expect(file, {"ByteLevel", "Unigram"});
}

TEST_F(BadFile, NormalizersAndDecoders) {
  const auto expect_node = [&](const char* key, const char* node, std::vector<std::string> parts) {
    Json file = valid();
    file[key] = Json::parse(node);
    expect(file, std::move(parts));
  };
  expect_node("normalizer", R"({"type": "Precompiled", "precompiled_charsmap": "?"})", {"base64"});
  expect_node("normalizer", R"({"type": "Precompiled", "precompiled_charsmap": "AA=="})", {"character map"});
  // A trie of one unit that leads out of itself.
  expect_node("normalizer", R"({"type": "Precompiled", "precompiled_charsmap": "BAAAAAAAAAAA"})",
              {"leads out"});
  // One whose root is a value: a walk would take its offset all the same.
  expect_node("normalizer", R"({"type": "Precompiled", "precompiled_charsmap": "BAAAAAAAAIAA"})",
              {"leads nowhere"});
  expect_node("normalizer", R"({"type": "Replace", "pattern": {"String": ""}, "content": "x"})", {"empty"});
  expect_node("normalizer", R"({"type": "Replace", "pattern": {"Regex": "("}, "content": "x"})", {"("});
  expect_node("decoder", R"({"type": "Strip", "content": "x", "start": -1, "stop": 0})", {"start"});
  expect_node("decoder", R"({"type": "Sequence", "decoders": [{"type": "Fuse"},
      {"type": "Strip", "content": " ", "start": 0, "stop": 1}]})",
              {"Fuse"});
  expect_node("decoder", R"({"type": "Replace", "pattern": {"Regex": "x"}, "content": "y"})", {"String"});
}

TEST_F(BadFile, ANormalizerMakesNoTextGrowWithoutBound) {
  Json file = valid();
  const Json grow = {
      {"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", std::string(1000, 'a')}};
  file["normalizer"] = {{"type", "Sequence"}, {"normalizers", {grow, grow, grow, grow}}};
  scratch_.write("tokenizer.json", file.dump());
  const auto tokenizer = Tokenizer::open(scratch_.path());
  expect_bad_input([&] { tokenizer->encode(std::string(10000, 'a')); }, {"64 times"});
}

TEST_F(BadFile, Ids) {
  for (const auto& [id, part] :
       std::vector<std::pair<Json, std::string>>{{-1, "-1"},
                                                 {2147483647, "range"},
                                                 {1e300, "whole number"},
                                                 {18446744073709551615ull, "whole number"},
                                                 {"0", "whole number"},
                                                 {nullptr, "whole number"},
                                                 {1.5, "whole number"},
                                                 {90000, "range"}}) {
    Json file = valid();
    file["model"]["vocab"]["c"] = id;
    expect(file, {"\"c\"", part});
    file = valid();
    file["added_tokens"][0]["id"] = id;
    expect(file, {part});
  }
  Json file = valid();
  file["model"]["vocab"]["c"] = 0;
  expect(file, {"id 0", "both"});
  file = valid();
  file["added_tokens"][0]["id"] = 3;
  expect(file, {"<end>", "\"c\""});
  file = valid();
  file["added_tokens"][0]["content"] = "c";
  expect(file, {"\"c\"", "under 3"});
  file = valid();
  file["added_tokens"].push_back(file["added_tokens"][0]);
  expect(file, {"<end>", "another"});
  file["added_tokens"][1]["id"] = 5;
  expect(file, {"<end>", "twice"});
  file = valid();
  file["added_tokens"][0]["content"] = "";
  expect(file, {"content"});
  expect_text(R"({"model": {"type": "BPE", "vocab": {"a": 0, "a": 1}, "merges": []}})", {"a"});
}

TEST_F(BadFile, Merges) {
  Json file = valid();
  file["model"]["merges"] = Json::parse(R"([["a", "x"]])");
  expect(file, {"merge 1", "\"x\""});
  file["model"]["merges"] = Json::parse(R"(["a b", "b a"])");
  expect(file, {"merge 2", "\"ba\""});
  file["model"]["merges"] = Json::parse(R"(["ab"])");
  expect(file, {"merge 1"});
  file["model"]["merges"] = Json::parse(R"(["a b c"])");
  expect(file, {"merge 1"});
  file["model"]["merges"] = Json::parse(R"([["a", 1]])");
  expect(file, {"merge 1"});
  file["model"]["merges"] = Json::parse(R"([["a", "b", "c"]])");
  expect(file, {"merge 1"});
  file["model"]["merges"] = "a b";
  expect(file, {"merges", "list"});
  file = valid();
  file["model"]["unk_token"] = "<unk>";
  expect(file, {"unk_token", "<unk>"});
}

TEST_F(BadFile, PostProcessors) {
  Json file = valid();
  file["post_processor"] = Json::parse(R"({"type": "TemplateProcessing", "single":
      [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}], "special_tokens": {}})");
  expect(file, {"<s>"});
  file["post_processor"]["special_tokens"]["<s>"] = {{"ids", {999}}};
  expect(file, {"999", "vocabulary of 5"});
  file["post_processor"]["single"] = Json::array();
  expect(file, {"post_processor"});
  file["post_processor"] = Json::parse(R"({"type": "BertProcessing", "cls": ["a"], "sep": ["b", 1]})");
  expect(file, {"cls"});
}

TEST_F(BadFile, TheFilesBesideIt) {
  scratch_.write("tokenizer.json", valid().dump());
  const auto expect_config = [&](const char* text, std::vector<std::string> parts) {
    parts.insert(parts.begin(), scratch_.write("tokenizer_config.json", text).string());
    expect_bad_input([&] { Tokenizer::open(scratch_.path()); }, parts);
  };
  expect_config("{", {":1"});
  expect_config("[]", {"object"});
  expect_config(R"({"eos_token": "<none>"})", {"eos_token", "<none>"});
  expect_config(R"({"eos_token": 7})", {"eos_token", "string"});
  expect_config(R"({"added_tokens_decoder": {"x": {"content": "y"}}})", {"\"x\""});
  expect_config(R"({"added_tokens_decoder": {"9": {"content": 1}}})", {"content"});
  expect_config(R"({"added_tokens_decoder": []})", {"added_tokens_decoder"});
  scratch_.write("tokenizer_config.json", R"({"added_tokens_decoder": {"1": {"content": "y"}}})");
  expect_bad_input([&] { Tokenizer::open(scratch_.path()); }, {"\"y\"", "\"b\""});
}

TEST_F(BadFile, VocabAndMerges) {
  const auto open = [&] { Tokenizer::open(scratch_.path()); };
  expect_bad_input(open, {scratch_.path().string(), "tokenizer.json"});
  expect_bad_input([&] { Tokenizer::open(scratch_.path() / "nothing"); }, {"nothing"});
  expect_bad_input([&] { Tokenizer::open(scratch_.write("model.gguf", "GGUF")); }, {"model.gguf"});
  scratch_.write("vocab.json", R"({"a": 0, "b": 1, "ab": 2})");
  expect_bad_input(open, {scratch_.path().string()});
  scratch_.write("merges.txt", "#version: 0.2\r\na b\r\n\r\nab\r\n");
  expect_bad_input(open, {"merges.txt:4"});
  scratch_.write("merges.txt", "#version: 0.2\na b c\n");
  expect_bad_input(open, {"merges.txt:2"});
  scratch_.write("merges.txt", "b a\n");
  expect_bad_input(open, {"merges.txt", "\"ba\""});
  scratch_.write("merges.txt", "#version: 0.2\na b");
  EXPECT_EQ(Tokenizer::open(scratch_.path())->encode("abb"), (std::vector<int32_t>{2, 1}));
  scratch_.write("tokenizer_config.json", R"({"tokenizer_class": "CLIPTokenizer"})");
  expect_bad_input(open, {"CLIPTokenizer"});
  scratch_.write("tokenizer_config.json", R"({"tokenizer_class": "GPT2Tokenizer", "add_bos_token": true})");
  expect_bad_input(open, {"add_bos_token"});
  scratch_.write("tokenizer_config.json",
                 R"({"tokenizer_class": "GPT2Tokenizer", "add_bos_token": true, "bos_token": "<s>"})");
  const auto with_bos = Tokenizer::open(scratch_.path());
  EXPECT_EQ(with_bos->encode("a<s>", {.add_special = true}), (std::vector<int32_t>{3, 0, 3}));
}

}  // namespace
}  // namespace ft
