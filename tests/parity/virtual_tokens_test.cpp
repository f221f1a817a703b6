// Prompts and prefixes where PEFT has no answer to compare with: they reproduce a hard prompt
// (must-not-happen 19), start from words, stack, skip layers, and their gradients are right in every
// combination.
#include <gtest/gtest.h>

#include <cmath>

#include "adapters/stack.h"
#include "engine/config/yaml.h"
#include "engine/generate/ensemble.h"
#include "tests/parity/fixture.h"

namespace ft::test {
namespace {

const std::vector<int32_t> kWords = {17, 4, 60, 4, 33};

GenerationOptions greedy(int64_t max_new_tokens) {
  GenerationOptions o;
  o.max_new_tokens = max_new_tokens;
  o.ignore_eos = true;
  return o;
}

/// A fixture's base with adapters of our own in place of its.
class Base {
 public:
  explicit Base(const std::string& name, DType compute = DType::f32) : f(name, compute) {
    f.adapter->set_active(false);
  }

  Adapter& add(const std::string& yaml, uint64_t seed = 7) {
    const ConfigNode node = parse_yaml("{" + yaml + "}", std::make_shared<const Source>());
    auto adapter = find_adapter_kind(node).make(node, "adapter", false);
    adapter->attach(f.model(), {.compute = wide_of(f.compute),
                                .seed = seed,
                                .index = static_cast<int>(stack.size()) + 1,
                                .where = "test",
                                .tokenize = [](const std::string&) { return kWords; },
                                .stream = &f.stream});
    stack.add(std::move(adapter));
    return *stack.all().back();
  }

  /// Mean loss; with `gradients`, those too.
  LossSum loss(const std::vector<DataRow>& data, bool gradients = false) {
    std::vector<const DataRow*> rows;
    for (const DataRow& r : data) rows.push_back(&r);
    const bool share = shares_prompt(f.model(), stack.all(), gradients, any_first_target(rows));
    AdapterStep step(f.model(), stack.all(), f.stream, f.compute, {.training = gradients}, share);
    shared = share;
    LossSum sum;
    run_rows(f.model(), f.stream, rows, {.compute = f.compute, .training = gradients, .adapters = &step},
             sum);
    if (gradients) step.finish();
    return sum;
  }

  Fixture f;
  AdapterStack stack;
  bool shared = false;
};

/// Rows behind the words, whose labels are no targets; and the rows alone. `first`: their first token is a
/// target.
std::pair<std::vector<DataRow>, std::vector<DataRow>> hard_and_soft(bool first) {
  std::vector<DataRow> hard, soft;
  for (const std::vector<int32_t>& ids :
       {std::vector<int32_t>{5, 9, 71, 2, 40, 8}, {3, 3, 55}, {81, 12, 7, 1}}) {
    DataRow row;
    row.ids = ids;
    row.labels = ids;
    if (!first) row.labels[0] = kNoTarget;
    soft.push_back(row);
    row.ids.insert(row.ids.begin(), kWords.begin(), kWords.end());
    row.labels.insert(row.labels.begin(), kWords.size(), kNoTarget);
    hard.push_back(row);
  }
  return {hard, soft};
}

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

// Every combination, in double: the slope along the gradient's own direction is its norm.
class VirtualGradients : public testing::TestWithParam<std::pair<const char*, std::vector<std::string>>> {};

TEST_P(VirtualGradients, AreTheSlopesOfTheLoss) {
  for (const char* name : {"gpt2_prefix", "qwen3_prefix_gqa"})
    for (const bool first : {false, true}) {
      const std::vector<DataRow> rows = hard_and_soft(first).second;
      Base base(name, DType::f64);
      for (const std::string& yaml : GetParam().second) base.add(yaml);
      const std::vector<Parameter*> trained = base.stack.trainables();
      base.loss(rows, true);
      double norm = 0;
      std::vector<std::vector<double>> gradients;
      for (const Parameter* p : trained) {
        gradients.push_back(p->grad.to_vector<double>());
        double own = 0;
        for (const double g : gradients.back()) own += g * g;
        EXPECT_TRUE(own > 0 || p->name.find("lora_A") != std::string::npos) << p->name << " has no gradient";
        norm += own;
      }
      norm = std::sqrt(norm);
      const auto along = [&](double step) {
        for (size_t i = 0; i < trained.size(); ++i) {
          auto* value = trained[i]->value.data<double>();
          for (size_t k = 0; k < gradients[i].size(); ++k) value[k] += step / norm * gradients[i][k];
        }
        return base.loss(rows).loss;
      };
      const double step = 1e-5, up = along(step), down = along(-2 * step), slope = (up - down) / (2 * step);
      EXPECT_NEAR(slope, norm, 1e-7 * norm) << name << ", first token a target: " << first;
    }
}

const std::string kLora = "peft_type: LORA, r: 2, target_modules: all-linear",
                  kPrompt = "peft_type: PROMPT_TUNING, num_virtual_tokens: 3, prompt_tuning_init: RANDOM",
                  kLstmPrompt =
                      "peft_type: P_TUNING, num_virtual_tokens: 3, encoder_reparameterization_type: LSTM, "
                      "encoder_hidden_size: 5",
                  kPrefix = "peft_type: PREFIX_TUNING, num_virtual_tokens: 4, prefix_tuning_init: RANDOM",
                  kLstmPrefix =
                      "peft_type: PREFIX_TUNING, num_virtual_tokens: 4, prefix_projection: true, "
                      "encoder_reparameterization_type: LSTM, encoder_hidden_size: 6, encoder_num_layers: 1",
                  kTopPrefix = kPrefix + ", layers_to_transform: [1]",
                  kIa3 = "peft_type: IA3, init_ia3_weights: false";
using Names = std::vector<std::string>;
INSTANTIATE_TEST_SUITE_P(Combinations, VirtualGradients,
                         testing::Values(std::pair("lstm_prefix", Names{kLstmPrefix}),
                                         std::pair("one_layer", Names{kTopPrefix}),
                                         std::pair("prompt_lora", Names{kPrompt, kLora}),
                                         std::pair("lstm_prompt_lora", Names{kLora, kLstmPrompt}),
                                         std::pair("prefix_lora", Names{kPrefix, kLora}),
                                         std::pair("prefix_ia3", Names{kIa3, kPrefix}),
                                         std::pair("prompt_behind_prefix", Names{kPrompt, kTopPrefix})),
                         [](const auto& p) { return p.param.first; });

TEST(Stacking, TwoPromptsOrTwoPrefixesAreRefused) {
  for (const auto& [one, word] : {std::pair(kPrompt, "prompts"), {kPrefix, "prefixes"}}) {
    Base base("gpt2_prefix");
    base.add(one);
    base.add(one, 8);
    try {
      AdapterStep(base.f.model(), base.stack.all(), base.f.stream, DType::f32, {});
      ADD_FAILURE() << word << " were stacked";
    } catch (const InputError& e) {
      EXPECT_NE(std::string(e.what()).find(word), std::string::npos) << e.what();
    }
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
