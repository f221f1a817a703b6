// Any bytes in, the same bytes out; and BPE against the definition of BPE.
#include <chrono>
#include <map>

#include "engine/data/tokenizer_utf8.h"
#include "tests/text/text_test.h"

namespace ft {
namespace {

using namespace ft::testing;
using Ids = std::vector<int32_t>;

/// Bytes of all kinds: ASCII words, Chinese, special tokens, malformed UTF-8, NUL.
std::string random_bytes(TestRandom& random) {
  static const std::vector<std::string> parts = {"the",
                                                 " lamp",
                                                 "你好",
                                                 "é",
                                                 "\xF0\x9F\x9A\x80",
                                                 "\xF0\x9F",
                                                 "\xC0",
                                                 "\xFF",
                                                 "\x80",
                                                 "\xED\xA0",
                                                 "\r\n",
                                                 "  ",
                                                 "12",
                                                 "<|endoftext|>",
                                                 "'LL",
                                                 std::string(1, '\0')};
  std::string text;
  for (size_t n = random.below(12); n > 0; --n) {
    if (random.below(3) == 0) {
      for (size_t m = random.below(6); m > 0; --m) text += static_cast<char>(random.next());
    } else {
      text += parts[random.below(parts.size())];
    }
  }
  return text;
}

TEST(Bytes, AnythingComesBackFromAByteLevelTokenizer) {
  TestRandom random(1);
  for (const char* name :
       {"gpt2", "falcon", "llama3", "ranks"}) {  // those with a token for each byte and no normaliser
    const auto tokenizer = Tokenizer::open(data_folder() / name);
    for (int i = 0; i < 3000; ++i) {
      const std::string text = random_bytes(random);
      for (const bool parse : {false, true}) {
        const Ids ids = tokenizer->encode(text, {.parse_special = parse});
        ASSERT_EQ(tokenizer->decode_bytes(ids, false), text);
        ASSERT_EQ(tokenizer->decode(ids, false), to_valid_utf8(text));
        StreamDecoder stream(tokenizer, false);
        std::string all;
        for (const int32_t id : ids) {
          const std::string part = stream.push(id);
          ASSERT_TRUE(is_valid_utf8(part));
          all += part;
        }
        ASSERT_EQ(all + stream.flush(), to_valid_utf8(text));
      }
    }
  }
}

TEST(Bytes, NoBytesHurtAnyTokenizer) {
  TestRandom random(2);
  for (const char* name :
       {"qwen2", "bloom", "smollm", "flags", "llama", "gemma", "metaspace", "unknowns", "t5", "albert",
        "unigram-bytes", "bert", "bert-cased", "spm-bpe", "spm-unigram", "chatglm", "ranks"}) {
    const auto tokenizer = Tokenizer::open(data_folder() / name);
    for (int i = 0; i < 2000; ++i) {
      for (const int32_t id : tokenizer->encode(random_bytes(random))) {
        ASSERT_FALSE(tokenizer->id_to_token(id).empty());
      }
    }
  }
}

TEST(Bytes, IdsWithoutATokenDecodeToNothing) {
  const auto tokenizer = Tokenizer::open(data_folder() / "gpt2");
  const Ids wild = {-1, tokenizer->vocab_size(), 1 << 30, INT32_MIN, INT32_MAX};
  EXPECT_EQ(tokenizer->decode(wild), "");
  EXPECT_EQ(tokenizer->id_to_token(-5), "");
  EXPECT_FALSE(tokenizer->is_special(1 << 30));
}

TEST(Bytes, MalformedStretchesBecomeOneReplacementEachMaximalPart) {
  const std::string r(kReplacementCharacter);
  EXPECT_EQ(to_valid_utf8("a\xF0\x9F\x9A"), "a" + r);  // cut
  EXPECT_EQ(to_valid_utf8("\xE2\x82"
                          "b"),
            r + "b");                                           // a lead and one continuation
  EXPECT_EQ(to_valid_utf8("\xC0\xAF"), r + r);                  // overlong
  EXPECT_EQ(to_valid_utf8("\xED\xA0\x80"), r + r + r);          // a surrogate
  EXPECT_EQ(to_valid_utf8("\xF4\x90\x80\x80"), r + r + r + r);  // past U+10FFFF
  EXPECT_EQ(to_valid_utf8("\xEF\xBB\xBF\xF4\x8F\xBF\xBF"), "\xEF\xBB\xBF\xF4\x8F\xBF\xBF");
  for (int byte = 0; byte < 256; ++byte) {
    std::string text;
    append_utf8(text, byte_to_char(static_cast<uint8_t>(byte)));
    EXPECT_EQ(from_byte_level(text), std::string(1, static_cast<char>(byte)));
  }
  EXPECT_FALSE(from_byte_level("\xC4\xBF\xE4\xBD\xA0").has_value());
}

TEST(Bytes, AStreamedCharacterAppearsOnlyWhenItIsWhole) {
  const auto tokenizer = Tokenizer::open(data_folder() / "gpt2");
  const Ids ids = tokenizer->encode("\xF0\x9F\x9A\x80");  // one token a byte in this small vocabulary
  ASSERT_EQ(ids.size(), 4u);
  StreamDecoder stream(tokenizer);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(stream.push(ids[i]), "");
  EXPECT_EQ(stream.push(ids[3]), "\xF0\x9F\x9A\x80");
  EXPECT_EQ(stream.push(ids[0]), "");
  EXPECT_EQ(stream.push(tokenizer->encode("a")[0]), std::string(kReplacementCharacter) + "a");
  stream.push(ids[0]);
  EXPECT_EQ(stream.flush(), kReplacementCharacter);
  EXPECT_EQ(stream.flush(), "");
}

/// BPE by its definition: look at all pairs, merge the leftmost of the lowest rank, start again.
class Definition {
 public:
  explicit Definition(const Json& model) : vocab_(model.at("vocab")) {
    int rank = 0;
    for (const Json& merge : model.at("merges")) {
      ranks_[{merge.at(0).get<std::string>(), merge.at(1).get<std::string>()}] = rank++;
    }
  }
  Ids encode(std::string_view bytes) const {
    std::vector<std::string> parts;
    for (const char c : bytes) append_byte_level(parts.emplace_back(), {&c, 1});
    while (true) {
      int best = INT32_MAX;
      size_t at = 0;
      for (size_t i = 0; i + 1 < parts.size(); ++i) {
        const auto found = ranks_.find({parts[i], parts[i + 1]});
        if (found != ranks_.end() && found->second < best) best = found->second, at = i;
      }
      if (best == INT32_MAX) break;
      parts[at] += parts[at + 1];
      parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    }
    Ids ids;
    for (const auto& part : parts) ids.push_back(vocab_.at(part).get<int32_t>());
    return ids;
  }

 private:
  Json vocab_;
  std::map<std::pair<std::string, std::string>, int> ranks_;
};

TEST(Bpe, IsTheDefinitionForShortAndLongPieces) {
  const auto folder = data_folder() / "gpt2";
  const Definition definition(read_json_file(folder / "tokenizer.json").at("model"));
  const auto tokenizer = Tokenizer::open(folder);
  TestRandom random(3);
  const std::string letters = "thernoaisdlmp";
  for (int i = 0; i < 400; ++i) {
    // Letters only, so that the text is one piece; both sides of the length where the method changes.
    std::string word;
    const size_t size = i % 4 == 0 ? 80 + random.below(200) : 1 + random.below(40);
    while (word.size() < size) word += letters[random.below(i % 2 == 0 ? 5 : letters.size())];
    ASSERT_EQ(tokenizer->encode(word), definition.encode(word)) << word;
  }
}

TEST(Bpe, AMegabyteWithoutABlankIsNoAttack) {
  const auto tokenizer = Tokenizer::open(data_folder() / "gpt2");
  std::string word;
  while (word.size() < (size_t{1} << 20)) word += "there";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(word)), word);
  const std::string blanks(size_t{1} << 20, ' ');
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(blanks)), blanks);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
}

// A megabyte without a place to cut, of ASCII and of Chinese: no kind may take quadratic time over it. (The
// bound is generous: quadratic would be hours.)
TEST(Bytes, LongTextsWithoutBlanksStayNearLinear) {
  std::string chinese;
  while (chinese.size() < (size_t{1} << 20)) chinese += "你好我想退货";
  const std::string texts[] = {std::string(size_t{1} << 20, 'a'), chinese};
  for (const char* name : {"qwen2", "llama", "gemma", "unknowns", "t5", "unigram-bytes", "bert", "spm-bpe",
                           "spm-unigram", "ranks"}) {
    const auto tokenizer = Tokenizer::open(data_folder() / name);
    const auto start = std::chrono::steady_clock::now();
    for (const std::string& text : texts) EXPECT_FALSE(tokenizer->encode(text).empty());
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30)) << name;
  }
}

}  // namespace
}  // namespace ft
