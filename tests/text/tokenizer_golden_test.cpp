// Every fixture tokenizer against what Hugging Face's tokenizers, and for SentencePiece's own files the
// sentencepiece library, says (tools/fixtures/make_tokenizers.py).
#include <sentencepiece_processor.h>

#include <random>

#include "tests/text/text_test.h"

namespace ft {
namespace {

using namespace ft::testing;
using Ids = std::vector<int32_t>;

class Golden : public ::testing::TestWithParam<const char*> {
 protected:
  std::filesystem::path folder() const { return data_folder() / GetParam(); }
  Json cases() const { return read_json_file(folder() / "golden.json").at("cases"); }
};

TEST_P(Golden, EncodesAndDecodesAsHuggingFace) {
  const auto tokenizer = Tokenizer::open(folder());
  const Json all = cases();
  ASSERT_GE(all.size(), 25u);
  for (const Json& c : all) {
    const auto text = c.at("text").get<std::string>();
    const Ids ids = tokenizer->encode(text);
    EXPECT_EQ(ids, c.at("ids").get<Ids>()) << text;
    if (c.contains("special")) {
      EXPECT_EQ(tokenizer->encode(text, {.add_special = true}), c.at("special").get<Ids>()) << text;
    }
    if (!c.at("decoded").is_null()) {
      EXPECT_EQ(tokenizer->decode(ids), c.at("decoded").get<std::string>());
    }
  }
}

TEST_P(Golden, StreamingGivesTheSameTextInCompleteCharacters) {
  const auto tokenizer = Tokenizer::open(folder());
  for (const Json& c : cases()) {
    for (const bool skip_special : {false, true}) {
      const Ids ids = c.at(c.contains("special") ? "special" : "ids").get<Ids>();
      StreamDecoder stream(tokenizer, skip_special);
      std::string all;
      for (const int32_t id : ids) {
        const std::string part = stream.push(id);
        EXPECT_NO_THROW(Json(part).dump()) << "not UTF-8 by itself";
        all += part;
      }
      EXPECT_EQ(all + stream.flush(), tokenizer->decode(ids, skip_special));
    }
  }
}

TEST_P(Golden, IsTheSameAfterBeingWrittenAndReadAgain) {
  const auto tokenizer = Tokenizer::open(folder());
  const ScratchFolder scratch;
  if (tokenizer->kind() == "SentencePiece") {
    EXPECT_THROW(tokenizer->write_tokenizer_json(scratch.path()), Error);
    return;
  }
  tokenizer->write_tokenizer_json(scratch.path());
  const auto again = Tokenizer::open(scratch.path());
  EXPECT_EQ(again->vocab_size(), tokenizer->vocab_size());
  EXPECT_EQ(again->eos_id(), tokenizer->eos_id());
  EXPECT_EQ(again->bos_id(), tokenizer->bos_id());
  EXPECT_EQ(again->chat_template(), tokenizer->chat_template());
  for (int32_t id = 0; id < tokenizer->vocab_size(); ++id) {
    EXPECT_EQ(again->id_to_token(id), tokenizer->id_to_token(id));
    EXPECT_EQ(again->is_special(id), tokenizer->is_special(id));
  }
  for (const Json& c : cases()) {
    const auto text = c.at("text").get<std::string>();
    EXPECT_EQ(again->encode(text, {.add_special = true}), c.at("special").get<Ids>()) << text;
    EXPECT_EQ(again->decode(c.at("ids").get<Ids>()), tokenizer->decode(c.at("ids").get<Ids>()));
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Golden,
                         ::testing::Values("gpt2", "gpt2-files", "qwen2", "llama3", "falcon", "bloom",
                                           "smollm", "flags", "llama", "gemma", "metaspace", "unknowns", "t5",
                                           "albert", "unigram-bytes", "bert", "bert-txt", "bert-cased",
                                           "spm-bpe", "spm-unigram", "spm-llama", "spm-llama-bare", "chatglm",
                                           "ranks"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// Long texts are cut on their way to the sentencepiece library, wherever that changes nothing.
TEST(Tokenizer, ALongTextIsItsWordsForSentencePiece) {
  const auto tokenizer = Tokenizer::open(data_folder() / "spm-bpe");
  const Ids word = tokenizer->encode("the lamp's  there"), trailing = tokenizer->encode("x ");
  std::string text;
  Ids wanted;
  for (int i = 0; i < 200; ++i) {
    text += (i == 0 ? "" : " ") + std::string("the lamp's  there");
    wanted.insert(wanted.end(), word.begin(), word.end());
  }
  EXPECT_EQ(tokenizer->encode(text), wanted);
  EXPECT_EQ(tokenizer->decode(wanted), text);
  wanted.insert(wanted.end(), trailing.begin(), trailing.end());
  EXPECT_EQ(tokenizer->encode(text + " x "), wanted);
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(std::string(1000, ' '))), std::string(1000, ' '));
}

// Cut or whole, known or new: what the library makes of the text.
TEST(Tokenizer, WordsOneByOneAreWhatSentencePieceMakesOfTheText) {
  const auto tokenizer = Tokenizer::open(data_folder() / "spm-bpe");
  sentencepiece::SentencePieceProcessor library;
  ASSERT_TRUE(library.Load((data_folder() / "spm-bpe" / "tokenizer.model").string()).ok());
  const std::vector<std::string> parts = {" ",  "  ",     "a", "lamp", "the", "\u2581", "\n",     "\u00e9",
                                          "灯", "\u0301", "1", ".",    "\t",  "\u3000", "\u200b", "\ufffd"};
  std::mt19937 random(7);
  for (int i = 0; i < 3000; ++i) {
    std::string text;
    for (uint32_t n = random() % 16; n > 0; --n) text += parts[random() % parts.size()];
    ASSERT_EQ(tokenizer->encode(text), library.EncodeAsIds(text)) << Json(text);
  }
}

TEST(Tokenizer, SpecialTokensInTextAreTextWhenTheyAreNotToBeParsed) {
  const auto tokenizer = Tokenizer::open(data_folder() / "qwen2");
  const std::string text = "a<|im_end|>b";
  const int32_t end = *tokenizer->token_to_id("<|im_end|>");
  const Ids parsed = tokenizer->encode(text);
  const Ids plain = tokenizer->encode(text, {.parse_special = false});
  EXPECT_EQ(std::count(parsed.begin(), parsed.end(), end), 1);
  EXPECT_EQ(std::count(plain.begin(), plain.end(), end), 0);
  EXPECT_EQ(tokenizer->decode(plain), text);
  EXPECT_EQ(tokenizer->decode(parsed), "ab");
  EXPECT_EQ(tokenizer->decode(parsed, false), text);
  // An added token that is not special is found either way, as in Hugging Face's tokenizers.
  const int32_t call = *tokenizer->token_to_id("<tool_call>");
  EXPECT_EQ(tokenizer->encode("<tool_call>", {.parse_special = false}), Ids{call});
}

TEST(Tokenizer, SpecialIdsComeFromTheFilesBesideIt) {
  const auto qwen2 = Tokenizer::open(data_folder() / "qwen2");
  EXPECT_EQ(qwen2->eos_id(), qwen2->token_to_id("<|im_end|>"));
  EXPECT_EQ(qwen2->pad_id(), qwen2->token_to_id("<|endoftext|>"));
  EXPECT_FALSE(qwen2->bos_id().has_value());
  EXPECT_NE(qwen2->chat_template().find("lamp shop"), std::string::npos);
  const auto llama3 = Tokenizer::open(data_folder() / "llama3" / "tokenizer.json");
  EXPECT_EQ(llama3->eos_id(), llama3->token_to_id("<|end_of_text|>"));
  EXPECT_EQ(llama3->prefix_ids().size(), 1u);
  EXPECT_EQ(llama3->prefix_ids()[0], llama3->bos_id());
  // Nothing names an end there: GPT-2's own.
  const auto gpt2 = Tokenizer::open(data_folder() / "gpt2-files");
  EXPECT_EQ(gpt2->eos_id(), gpt2->token_to_id("<|endoftext|>"));
}

TEST(Tokenizer, ConfigJsonNamesTheEndWhereNoTokenizerFileDoes) {
  const ScratchFolder scratch;
  scratch.write("tokenizer.json", read_text_file(data_folder() / "smollm" / "tokenizer.json"));
  scratch.write("config.json", R"({"model_type": "llama", "eos_token_id": [2, 0], "bos_token_id": 1})");
  const auto tokenizer = Tokenizer::open(scratch.path());
  EXPECT_EQ(tokenizer->eos_id(), 2);
  EXPECT_EQ(tokenizer->bos_id(), 1);
}

TEST(Tokenizer, ChatTemplateFileWinsOverTheConfig) {
  const ScratchFolder scratch;
  scratch.write("tokenizer.json", read_text_file(data_folder() / "gpt2" / "tokenizer.json"));
  scratch.write(
      "tokenizer_config.json",
      R"({"chat_template": [{"name": "tools", "template": "T"}, {"name": "default", "template": "D"}]})");
  EXPECT_EQ(Tokenizer::open(scratch.path())->chat_template(), "D");
  scratch.write("chat_template.jinja", "J");
  EXPECT_EQ(Tokenizer::open(scratch.path())->chat_template(), "J");
}

}  // namespace
}  // namespace ft
