// Prompts and prefixes where PEFT has no answer to compare with: they reproduce a hard prompt
// (must-not-happen 19), start from words, stack, skip layers, and their gradients are right in every
// combination.
#include <gtest/gtest.h>

#include "engine/generate/ensemble.h"
#include "tests/parity/virtual_base.h"

namespace ft::test {
namespace {

struct HardCase {
  std::string base, adapter;
  friend void PrintTo(const HardCase& c, std::ostream* out) { *out << c.base << " " << c.adapter; }
};
class HardPrompt : public testing::TestWithParam<HardCase> {};

TEST_P(HardPrompt, OfRealTokensHasTheSameLoss) {
  const bool prefix = GetParam().adapter.find("PREFIX") != std::string::npos;
  for (const bool first : {false, true}) {
    if (first && prefix) continue;  // a prefix predicts nothing
    const auto [hard, soft] = hard_and_soft(first);
    Base base(GetParam().base);
    const LossSum want = base.loss(hard);
    Adapter& adapter = base.add(GetParam().adapter);
    EXPECT_EQ(adapter.prompt_rows() + adapter.prefix_rows(), static_cast<int64_t>(kWords.size()));
    const LossSum got = base.loss(soft);
    EXPECT_EQ(base.shared, !first || prefix);
    EXPECT_EQ(got.targets, want.targets);
    EXPECT_NEAR(got.mean(), want.mean(), 2e-6 * want.mean()) << "first token a target: " << first;
    if (first) {
      EXPECT_EQ(got.loss, want.loss) << "a prompt that leads each sample is the hard one, bit for bit";
    }
    const LossSum trained = base.loss(soft, true);
    EXPECT_NEAR(trained.mean(), want.mean(), 2e-6 * want.mean());
  }
}

// What is generated behind a soft prompt of real tokens is what follows the hard one.
TEST_P(HardPrompt, OfRealTokensGeneratesTheSame) {
  Base base(GetParam().base);
  const std::vector<std::vector<int32_t>> soft = {{5, 9, 71}, {40}};
  std::vector<std::vector<int32_t>> hard = soft;
  for (auto& ids : hard) ids.insert(ids.begin(), kWords.begin(), kWords.end());
  const GenerationOptions options = greedy(8);
  const auto want = generate(base.f.model(), base.f.stream, DType::f32, hard, options);
  base.add(GetParam().adapter);
  const AdapterStep step(base.f.model(), base.stack.all(), base.f.stream, DType::f32, {});
  const auto got =
      generate(base.f.model(), base.f.stream, DType::f32, soft, options, {}, {.before = {step.before()}});
  for (size_t i = 0; i < soft.size(); ++i) EXPECT_EQ(got[i].ids, want[i].ids) << i;
}

const std::string kTextPrompt =
                      "peft_type: PROMPT_TUNING, num_virtual_tokens: auto, prompt_tuning_init_text: words",
                  kTextPrefix =
                      "peft_type: PREFIX_TUNING, num_virtual_tokens: auto, prefix_tuning_init_text: words";
INSTANTIATE_TEST_SUITE_P(Starts, HardPrompt,
                         testing::Values(HardCase{"gpt2_prefix", kTextPrompt},
                                         HardCase{"gpt2_prefix", kTextPrefix},
                                         HardCase{"llama_prefix_projection", kTextPrompt},
                                         HardCase{"llama_prefix_projection", kTextPrefix},
                                         HardCase{"qwen3_prefix_gqa", kTextPrefix}),
                         [](const auto& p) {
                           return p.param.base + (p.param.adapter == kTextPrompt ? "_prompt" : "_prefix");
                         });

TEST(PromptStarts, TextsAreRepeatedOrCutAsPeftDoes) {
  for (const int64_t rows : {3, 12}) {
    Base base("gpt2_prefix");
    Adapter& a =
        base.add(fmt::format("peft_type: PROMPT_TUNING, num_virtual_tokens: {}, prompt_tuning_init: TEXT, "
                             "prompt_tuning_init_text: words",
                             rows));
    const std::vector<float> table = to_plain(base.f.model().embeddings()),
                             got = to_plain(*a.tensors()[0].parameter);
    const auto hidden = static_cast<size_t>(base.f.model().facts().hidden);
    ASSERT_EQ(got.size(), static_cast<size_t>(rows) * hidden);
    for (size_t i = 0; i < got.size(); ++i)
      EXPECT_EQ(got[i], table[static_cast<size_t>(kWords[i / hidden % kWords.size()]) * hidden + i % hidden]);
  }
}

// must-not-happen 22, each kind of virtual tokens, also behind one another and in a subset of the layers.
TEST(VirtualGeneration, IsTheSameForOneTwoAndEightRows) {
  for (const Names& adapters :
       {Names{kPrompt}, {kPrefix}, {kTopPrefix}, {kPrompt, kTopPrefix}, {kLstmPrefix, kIa3}}) {
    Base base("qwen3_prefix_gqa");
    for (const std::string& yaml : adapters) base.add(yaml);
    const AdapterStep step(base.f.model(), base.stack.all(), base.f.stream, DType::f32, {});
    std::vector<std::vector<int32_t>> prompts;
    for (int32_t i = 0; i < 8; ++i) prompts.emplace_back(static_cast<size_t>(1 + 5 * i % 7), 3 + 11 * i % 90);
    const GenerationOptions options = greedy(6);
    const auto run = [&](int64_t rows, int64_t tokens) {
      std::vector<std::vector<int32_t>> ids;
      for (const Generated& g : generate(base.f.model(), base.f.stream, DType::f32, prompts, options, {},
                                         {.rows = rows, .tokens = tokens, .before = {step.before()}}))
        ids.push_back(g.ids);
      return ids;
    };
    const auto one = run(1, 512);
    EXPECT_EQ(run(2, 512), one);
    EXPECT_EQ(run(8, 512), one);
    EXPECT_EQ(run(8, 5), one);
  }
}

// A prompt in training leads or is shared, a generation always shares: both must mean the same text.
TEST(VirtualGeneration, AgreesWithTheLossBehindAPrefix) {
  Base base("gpt2_prefix");
  base.add(kPrompt);
  base.add(kPrefix);
  const AdapterStep step(base.f.model(), base.stack.all(), base.f.stream, DType::f32, {});
  DataRow row;
  row.ids = {5, 9, 71};
  const GenerationOptions options = greedy(1);
  const int32_t likeliest =
      generate(base.f.model(), base.f.stream, DType::f32, std::vector<std::vector<int32_t>>{row.ids}, options,
               {}, {.before = {step.before()}})[0]
          .ids[0];
  const auto loss_of = [&](int32_t id) {
    DataRow next = row;
    next.ids.push_back(id);
    next.labels = {kNoTarget, kNoTarget, kNoTarget, id};
    return base.loss({next}).mean();
  };
  const double least = loss_of(likeliest);
  for (int32_t id = 0; id < 40; ++id) EXPECT_TRUE(id == likeliest || loss_of(id) > least) << id;
}

TEST(Ensemble, OfEqualMembersIsTheMemberAndOfOthersTheirMean) {
  Base base("gpt2_prefix");
  const std::vector<std::vector<int32_t>> prompts = {{5, 9, 71}, {40, 2, 2, 11, 30}};
  const GenerationOptions options = greedy(8);
  std::vector<std::unique_ptr<AdapterStep>> steps;
  for (const uint64_t seed : {1, 2, 3}) {
    Adapter* const one[] = {&base.add(kPrompt, seed)};
    steps.push_back(
        std::make_unique<AdapterStep>(base.f.model(), one, base.f.stream, DType::f32, StepInfo()));
  }
  const auto run = [&](const std::vector<size_t>& members, std::optional<Combine> how) {
    Batching batching{.tokens = 7, .ensemble = how};
    for (const size_t m : members) batching.before.push_back(steps[m]->before());
    std::vector<std::vector<int32_t>> ids;
    for (const Generated& g :
         generate(base.f.model(), base.f.stream, DType::f32, prompts, options, {}, batching))
      ids.push_back(g.ids);
    return ids;
  };
  for (const Combine how : {Combine::vote, Combine::mean}) {
    EXPECT_EQ(run({0}, how), run({0}, {}));
    EXPECT_EQ(run({1, 1, 1}, how), run({1}, {}));
    EXPECT_EQ(run({0, 1, 2}, how), run({2, 0, 1}, how));
  }
  EXPECT_EQ(run({0, 0, 1}, Combine::vote), run({0}, {}));  // the majority's text
  EXPECT_NE(run({0}, {}), run({1}, {}));
}

TEST(Ensemble, VoteAndMeanAreWhatTheySay) {
  const GenerationOptions options = greedy(1);
  // Two members prefer token 0 by a hair, one is certain of token 1.
  const std::vector<std::vector<float>> logits = {{1.0f, 0.9f, 0}, {1.0f, 0.9f, 0}, {-5, 5, -5}};
  EXPECT_EQ(combined_token(logits, {}, options, Combine::vote, 0), 0);
  EXPECT_EQ(combined_token(logits, {}, options, Combine::mean, 0), 1);
  const std::vector<std::vector<float>> tie = {{1, 0, 0}, {0, 0, 4}};
  EXPECT_EQ(combined_token(tie, {}, options, Combine::vote, 0), 2);
}

}  // namespace
}  // namespace ft::test
