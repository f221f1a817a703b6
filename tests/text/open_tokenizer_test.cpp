// A model's own tokenizer: out of GGUF metadata, a folder, or nothing.
#include "engine/data/open_tokenizer.h"

#include "tests/io/gguf_builder.h"

namespace ft {
namespace {

using namespace testing;  // NOLINT: the builders of tests/io

std::string string_value(std::string_view text) {
  return as_bytes(uint32_t{8}) + text_bytes(text);
}
std::string strings_value(const std::vector<std::string>& texts) {
  std::string data;
  for (const std::string& t : texts) data += text_bytes(t);
  return array_value(8, texts.size(), data);
}
std::string i32s_value(const std::vector<int32_t>& values) {
  std::string data;
  for (const int32_t v : values) data += as_bytes(v);
  return array_value(5, values.size(), data);
}
std::string bool_value(bool value) {
  return as_bytes(uint32_t{7}) + as_bytes(static_cast<uint8_t>(value));
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs tokenizer_pairs() {
  return {{"tokenizer.ggml.model", string_value("gpt2")},
          {"tokenizer.ggml.pre", string_value("gpt-2")},
          {"tokenizer.ggml.tokens", strings_value({"h", "i", "hi", "<s>", "</s>"})},
          {"tokenizer.ggml.token_type", i32s_value({1, 1, 1, 3, 3})},
          {"tokenizer.ggml.merges", strings_value({"h i"})},
          {"tokenizer.ggml.bos_token_id", u32_value(3)},
          {"tokenizer.ggml.eos_token_id", u32_value(4)},
          {"tokenizer.ggml.padding_token_id", u32_value(0xFFFFFFFF)},
          {"tokenizer.ggml.add_bos_token", bool_value(true)},
          {"tokenizer.chat_template", string_value("{{ messages }}")}};
}

std::filesystem::path write_gguf(const TemporaryFolder& folder, const Pairs& pairs) {
  TestGguf file;
  file.pairs = pairs;
  return write_bytes(folder / "m.gguf", file.bytes());
}

TEST(OpenTokenizer, ReadsGgufMetadata) {
  const TemporaryFolder folder;
  const auto path = write_gguf(folder, tokenizer_pairs());
  EXPECT_TRUE(has_tokenizer(path));
  const auto t = open_tokenizer(path);
  EXPECT_EQ(t->encode("hi</s>"), (std::vector<int32_t>{2, 4}));
  EXPECT_EQ(t->encode("hi", {.add_special = true}), (std::vector<int32_t>{3, 2}));
  EXPECT_EQ(t->bos_id(), 3);
  EXPECT_EQ(t->eos_id(), 4);
  EXPECT_EQ(t->pad_id(), std::nullopt);
  EXPECT_EQ(t->unk_id(), std::nullopt);
  EXPECT_EQ(t->chat_template(), "{{ messages }}");
}

TEST(OpenTokenizer, NamesTheFileAndTheKeyThatIsWrong) {
  const TemporaryFolder folder;
  const auto error = [&](std::string_view key, const std::string* value, std::string_view part) {
    Pairs pairs = tokenizer_pairs();
    std::erase_if(pairs, [&](const auto& p) { return p.first == key; });
    if (value) pairs.emplace_back(key, *value);
    expect_error([&] { open_tokenizer(write_gguf(folder, pairs)); }, part);
  };
  const std::string number = u32_value(9), text = string_value("x"), no_tokens = strings_value({});
  error("tokenizer.ggml.model", nullptr, "m.gguf: the file has no tokenizer");
  error("tokenizer.ggml.tokens", nullptr, "tokenizer.ggml.tokens");
  error("tokenizer.ggml.tokens", &number, "tokenizer.ggml.tokens");
  error("tokenizer.ggml.tokens", &no_tokens, "m.gguf");
  error("tokenizer.ggml.merges", &text, "tokenizer.ggml.merges");
  error("tokenizer.ggml.eos_token_id", &text, "tokenizer.ggml.eos_token_id");
  error("tokenizer.ggml.eos_token_id", &number, "eos_token_id");
  error("tokenizer.ggml.add_bos_token", &number, "tokenizer.ggml.add_bos_token");
}

TEST(OpenTokenizer, AFolderWithoutOneHasNone) {
  const TemporaryFolder folder;
  EXPECT_FALSE(has_tokenizer(folder.path()));
  EXPECT_FALSE(has_tokenizer(folder / "missing.gguf"));
  expect_error([&] { open_tokenizer(folder.path()); }, folder.path().string());
  expect_error([&] { open_tokenizer(folder / "missing.gguf"); }, "missing.gguf");
  write_bytes(folder / "tokenizer.json", "{}");
  EXPECT_TRUE(has_tokenizer(folder.path()));
}

}  // namespace
}  // namespace ft
