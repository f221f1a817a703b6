// Tokenizers from GGUF metadata: the same ids as the tokenizer.json that it was converted from.
#include "tests/text/text_test.h"

namespace ft {
namespace {

using namespace ft::testing;
using Ids = std::vector<int32_t>;

/// What a converter makes of a fixture.
GgufTokenizerData gguf_of(const std::string& name, const std::string& pre) {
  const Json file = read_json_file(data_folder() / name / "tokenizer.json");
  GgufTokenizerData data;
  data.source = "model.gguf";
  data.model = "gpt2";
  data.pre = pre;
  const auto put = [&](int32_t id, const std::string& content, int32_t type) {
    while (data.tokens.size() <= static_cast<size_t>(id)) {
      data.tokens.push_back("[PAD" + std::to_string(data.tokens.size()) + "]");
      data.token_type.push_back(4);
    }
    data.tokens[static_cast<size_t>(id)] = content;
    data.token_type[static_cast<size_t>(id)] = type;
  };
  for (const auto& [content, id] : file.at("model").at("vocab").items()) put(id.get<int32_t>(), content, 1);
  for (const Json& token : file.at("added_tokens")) {
    put(token.at("id").get<int32_t>(), token.at("content").get<std::string>(),
        token.at("special").get<bool>() ? 3 : 4);
  }
  for (const Json& merge : file.at("model").at("merges")) {
    data.merges.push_back(merge.at(0).get<std::string>() + " " + merge.at(1).get<std::string>());
  }
  return data;
}

void expect_goldens(const Tokenizer& tokenizer, const std::string& name, const char* key, bool add_special) {
  const Json golden = read_json_file(data_folder() / name / "golden.json");
  for (const Json& c : golden.at("cases")) {
    const auto text = c.at("text").get<std::string>();
    EXPECT_EQ(tokenizer.encode(text, {.add_special = add_special}), c.at(key).get<Ids>())
        << name << ": " << text;
  }
}

TEST(GgufTokenizer, FamiliesCutAsTheirOwnFilesSay) {
  for (const auto& [name, pre] : std::vector<std::pair<std::string, std::string>>{
           {"gpt2", "gpt-2"}, {"smollm", "smollm"}, {"qwen2", "qwen2"}, {"falcon", "falcon"}}) {
    expect_goldens(*Tokenizer::from_gguf(gguf_of(name, pre)), name, "ids", false);
  }
}

TEST(GgufTokenizer, Llama3TakesWholeWordsAndPutsBosInFront) {
  GgufTokenizerData data = gguf_of("llama3", "llama-bpe");
  expect_bad_input([&] { Tokenizer::from_gguf(data); }, {"model.gguf", "bos_token_id"});
  const auto bos = Tokenizer::open(data_folder() / "llama3")->bos_id();
  data.bos_id = bos;
  expect_goldens(*Tokenizer::from_gguf(data), "llama3", "special", true);
  data.add_bos = false;
  expect_goldens(*Tokenizer::from_gguf(data), "llama3", "ids", true);
}

TEST(GgufTokenizer, IsWrittenAsHuggingFaceFiles) {
  GgufTokenizerData data = gguf_of("llama3", "llama-bpe");
  const auto fixture = Tokenizer::open(data_folder() / "llama3");
  data.bos_id = fixture->bos_id();
  data.eos_id = fixture->eos_id();
  data.chat_template = "{{ 'a \"quoted\" one' }}\n";
  const ScratchFolder scratch;
  Tokenizer::from_gguf(data)->write_tokenizer_json(scratch.path());
  const auto again = Tokenizer::open(scratch.path());
  expect_goldens(*again, "llama3", "special", true);
  EXPECT_EQ(again->eos_id(), fixture->eos_id());
  EXPECT_EQ(again->bos_id(), fixture->bos_id());
  EXPECT_EQ(again->chat_template(), data.chat_template);
}

TEST(GgufTokenizer, PlacesKeptFreeAreNoTokens) {
  GgufTokenizerData data = gguf_of("gpt2", "gpt-2");
  const size_t size = data.tokens.size();
  data.tokens.push_back("[PAD" + std::to_string(size) + "]");
  data.token_type.push_back(4);
  data.tokens.push_back("unused");
  data.token_type.push_back(5);
  const auto tokenizer = Tokenizer::from_gguf(data);
  EXPECT_EQ(tokenizer->vocab_size(), static_cast<int32_t>(size));
  EXPECT_FALSE(tokenizer->token_to_id("unused").has_value());
  expect_goldens(*tokenizer, "gpt2", "ids", false);
}

TEST(GgufTokenizer, BadMetadata) {
  const auto expect = [](const std::function<void(GgufTokenizerData&)>& change,
                         std::vector<std::string> parts) {
    GgufTokenizerData data = gguf_of("gpt2", "gpt-2");
    change(data);
    parts.insert(parts.begin(), "model.gguf");
    expect_bad_input([&] { Tokenizer::from_gguf(data); }, parts);
  };
  expect([](auto& d) { d.model = "llama"; }, {"llama", "byte-level BPE"});
  expect([](auto& d) { d.pre = "nonsense"; }, {"nonsense", "qwen2"});
  expect([](auto& d) { d.pre = ""; }, {"tokenizer.ggml.pre"});
  expect([](auto& d) { d.pre = "gpt-2 phi-2"; }, {"gpt-2 phi-2"});
  expect([](auto& d) { d.token_type.pop_back(); }, {"types"});
  expect([](auto& d) { d.token_type[3] = 77; }, {"77"});
  expect([](auto& d) { d.tokens[4] = d.tokens[5]; }, {"two ids"});
  expect([](auto& d) { d.tokens[4] = "\xFF"; }, {"UTF-8"});
  expect([](auto& d) { d.merges[7] = "a  b"; }, {"merge 8"});
  expect([](auto& d) { d.merges[7] = "zz qq"; }, {"merge 8"});
  expect([](auto& d) { d.eos_id = 1 << 20; }, {"eos_token_id"});
  expect([](auto& d) { d.bos_id = -1; }, {"bos_token_id"});
  expect([](auto& d) { d.pad_id = 1 << 20; }, {"pad"});
  expect([](auto& d) { d.chat_template = "\xFF"; }, {"chat_template"});
}

}  // namespace
}  // namespace ft
