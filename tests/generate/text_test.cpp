// Text of an answer: whole characters, stop texts, end tokens.
#include "engine/generate/text.h"

#include "tests/generate/support.h"

namespace ft {
namespace {

/// Tokens of the test vocabulary; "Ã" and "©" are the two bytes of é as byte-level BPE writes them.
const std::vector<std::string> kTokens = {"a", "b", "E", "N", "D", "Ã", "©", "<eos>", "ab", "END"};

std::shared_ptr<const Tokenizer> tokenizer() {
  GgufTokenizerData data;
  data.source = "test.gguf";
  data.model = "gpt2";
  data.pre = "gpt-2";
  data.tokens = kTokens;
  data.token_type = std::vector<int32_t>(kTokens.size(), 1);
  data.token_type[7] = 3;
  data.eos_id = 7;
  data.add_bos = false;
  return Tokenizer::from_gguf(data);
}

std::vector<std::string> parts_of(const std::vector<std::string>& stop, const std::vector<int32_t>& ids) {
  AnswerText text(tokenizer(), stop);
  std::vector<std::string> parts;
  for (const int32_t id : ids) parts.push_back(text.push(id));
  parts.push_back(text.flush());
  return parts;
}

using Parts = std::vector<std::string>;

TEST(AnswerText, StreamsWholeCharacters) {
  EXPECT_EQ(parts_of({}, {0, 5, 6, 1}), (Parts{"a", "", "é", "b", ""}));
  EXPECT_EQ(parts_of({}, {0, 5}), (Parts{"a", "", "\uFFFD"}));
}

TEST(AnswerText, HoldsBackWhatMayBecomeAStop) {
  EXPECT_EQ(parts_of({"END"}, {0, 2, 3, 1, 0}), (Parts{"a", "", "", "ENb", "a", ""}));
  EXPECT_EQ(parts_of({"END"}, {0, 2, 3}), (Parts{"a", "", "", "EN"}));
  EXPECT_EQ(parts_of({"END"}, {0, 2, 2, 3, 4, 1}), (Parts{"a", "", "E", "", "", "", ""}));
}

TEST(AnswerText, TheFirstStopEndsTheText) {
  EXPECT_EQ(parts_of({"END", "ba"}, {8, 9, 8}), (Parts{"a", "b", "", ""}));
  EXPECT_EQ(parts_of({"END", "ba"}, {8, 8, 9}), (Parts{"a", "", "", ""}));
  EXPECT_EQ(parts_of({"é"}, {0, 5, 6, 1}), (Parts{"a", "", "", "", ""}));
}

TEST(AnswerText, SpecialTokensGiveNoText) {
  EXPECT_EQ(parts_of({}, {0, 7, 1}), (Parts{"a", "", "b", ""}));
}

TEST(GenerateText, EndsAtAStopAndStreamsWhatItReturns) {
  TestModel m("llama_full_untied");
  // A vocabulary as large as the model's in which token i reads "<i>".
  GgufTokenizerData data;
  data.source = "test.gguf";
  data.model = "gpt2";
  data.pre = "gpt-2";
  for (int64_t i = 0; i < m.model().facts().vocab; ++i) data.tokens.push_back(fmt::format("<{}>", i));
  data.add_bos = false;
  const auto tokenizer = Tokenizer::from_gguf(data);

  const std::vector<std::vector<int32_t>> prompts = {{4, 5}, {9}};
  GenerationOptions o;
  o.max_new_tokens = 8;
  const auto ids = m.run(prompts, o);
  std::string whole;
  for (const int32_t id : ids[0].ids) whole += fmt::format("<{}>", id);
  std::vector<std::string> streamed(2);
  const OnText collect = [&](size_t row, const std::string& part) {
    streamed[row] += part;
    return true;
  };
  auto answers = generate_text(m.model(), m.stream, DType::f32, tokenizer, prompts, o, collect);
  EXPECT_EQ(answers[0].text, whole);
  EXPECT_EQ(answers[0].ids, ids[0].ids);
  EXPECT_EQ(streamed[0], answers[0].text);
  EXPECT_EQ(streamed[1], answers[1].text);

  // A stop text over the border of two tokens.
  const std::string stop = fmt::format("{}><", ids[0].ids[2]);
  o.stop = {stop};
  streamed.assign(2, "");
  answers = generate_text(m.model(), m.stream, DType::f32, tokenizer, prompts, o, collect);
  EXPECT_EQ(answers[0].reason, StopReason::stopped);
  EXPECT_EQ(answers[0].text, whole.substr(0, whole.find(stop)));
  EXPECT_EQ(streamed[0], answers[0].text);

  // An end token's text is not shown, its id is there.
  o.stop.clear();
  o.stop_ids = {ids[0].ids[1]};
  answers = generate_text(m.model(), m.stream, DType::f32, tokenizer, prompts, o);
  EXPECT_EQ(answers[0].reason, StopReason::end_token);
  EXPECT_EQ(answers[0].ids.back(), ids[0].ids[1]);
  EXPECT_EQ(answers[0].text.find(fmt::format("<{}>", answers[0].ids.back())), std::string::npos);
}

}  // namespace
}  // namespace ft
