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

/// LLaMA's vocabulary as converters write it: a score for each token, the earlier merge the higher.
GgufTokenizerData sentencepiece_gguf() {
  const Json file = read_json_file(data_folder() / "llama" / "tokenizer.json");
  GgufTokenizerData data;
  data.source = "model.gguf";
  data.model = "llama";
  const Json& vocab = file.at("model").at("vocab");
  data.tokens.resize(vocab.size());
  data.token_type.assign(vocab.size(), 1);
  data.scores.assign(vocab.size(), 0);
  for (const auto& [content, id] : vocab.items()) {
    const auto i = id.get<size_t>();
    data.tokens[i] = content;
    if (content.size() == 6 && content.starts_with("<0x")) data.token_type[i] = 6;
    data.scores[i] = -1000.0f - static_cast<float>(i);
  }
  float score = 0;
  for (const Json& merge : file.at("model").at("merges")) {
    const auto result = merge.at(0).get<std::string>() + merge.at(1).get<std::string>();
    data.scores[vocab.at(result).get<size_t>()] = --score;
  }
  data.token_type[0] = 2;
  data.token_type[1] = data.token_type[2] = 3;
  data.unk_id = 0, data.bos_id = 1, data.eos_id = 2;
  return data;
}

TEST(GgufTokenizer, SentencePieceScoresMergeLikeTheirMerges) {
  const GgufTokenizerData data = sentencepiece_gguf();
  const auto tokenizer = Tokenizer::from_gguf(data);
  expect_goldens(*tokenizer, "llama", "ids", false);
  expect_goldens(*tokenizer, "llama", "special", true);
  const Ids ids = tokenizer->encode("Hello  world 你");
  EXPECT_EQ(tokenizer->decode(ids), "Hello  world 你");
  const ScratchFolder scratch;
  tokenizer->write_tokenizer_json(scratch.path());
  expect_goldens(*Tokenizer::open(scratch.path()), "llama", "special", true);
}

TEST(GgufTokenizer, SentencePieceWithoutABlankInFront) {
  GgufTokenizerData data = sentencepiece_gguf();
  data.add_space_prefix = false;
  data.add_bos = false;
  data.add_eos = true;
  const auto tokenizer = Tokenizer::from_gguf(data);
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(" a b")), " a b");
  EXPECT_EQ(tokenizer->encode("the", {.add_special = true}).back(), 2);
  EXPECT_NE(tokenizer->encode("the", {.add_special = true}).front(), 1);
  EXPECT_EQ(tokenizer->id_to_token(tokenizer->encode("the")[0]).find("\xE2"), std::string::npos);
  data.scores.pop_back();
  expect_bad_input([&] { Tokenizer::from_gguf(data); }, {"model.gguf", "scores"});
  data.scores.push_back(std::numeric_limits<float>::quiet_NaN());
  expect_bad_input([&] { Tokenizer::from_gguf(data); }, {"model.gguf", "score"});
  data.scores.back() = 0;
  data.tokens.back() = std::string(3000, 'a');
  expect_bad_input([&] { Tokenizer::from_gguf(data); }, {"model.gguf", "3000"});
}

TEST(GgufTokenizer, WordPieceInTheFormOfConverters) {
  const Json file = read_json_file(data_folder() / "bert" / "tokenizer.json");
  GgufTokenizerData data;
  data.source = "model.gguf";
  data.model = "bert";
  data.tokens.resize(file.at("model").at("vocab").size());
  for (const auto& [content, id] : file.at("model").at("vocab").items()) {
    const bool special = content.starts_with('[') && content.ends_with(']') && content.size() > 2;
    data.tokens[id.get<size_t>()] = special                     ? content
                                    : content.starts_with("##") ? content.substr(2)
                                                                : "\xE2\x96\x81" + content;
  }
  data.token_type.assign(data.tokens.size(), 1);
  for (const size_t id : {0, 1, 2, 3, 4}) data.token_type[id] = 3;
  data.unk_id = 1, data.cls_id = 2, data.sep_id = 3;
  const auto tokenizer = Tokenizer::from_gguf(data);
  expect_goldens(*tokenizer, "bert", "ids", false);
  expect_goldens(*tokenizer, "bert", "special", true);
  data.cls_id.reset();
  expect_bad_input([&] { Tokenizer::from_gguf(data); }, {"model.gguf", "cls"});
}

TEST(GgufTokenizer, BadMetadata) {
  const auto expect = [](const std::function<void(GgufTokenizerData&)>& change,
                         std::vector<std::string> parts) {
    GgufTokenizerData data = gguf_of("gpt2", "gpt-2");
    change(data);
    parts.insert(parts.begin(), "model.gguf");
    expect_bad_input([&] { Tokenizer::from_gguf(data); }, parts);
  };
  expect([](auto& d) { d.model = "rwkv"; }, {"rwkv", "byte-level BPE"});
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
