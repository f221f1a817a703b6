// Prompts and prefixes in every combination, with other methods too: gradients against slopes of the loss,
// and what must not change a bit.
#include <cmath>

#include "tests/parity/virtual_base.h"

namespace ft::test {
namespace {

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

// must-not-happen 17, 18, 24: recompute and packing, also where dropout makes a prompt lead each sample.
class VirtualBits : public testing::TestWithParam<std::pair<const char*, Names>> {};

TEST_P(VirtualBits, RecomputeAndPackingDoNotMatter) {
  for (const char* name : {"gpt2_prefix", "qwen3_prefix_gqa"}) {
    const auto gradients = [&](bool recompute, int64_t pass_tokens) {
      Base base(name);
      for (const std::string& yaml : GetParam().second) base.add(yaml);
      std::vector<std::vector<double>> all = {
          {base.loss(hard_and_soft(false).second, true, recompute, pass_tokens).loss}};
      for (const Parameter* p : base.stack.trainables()) all.push_back(grad_to_plain(*p));
      return all;
    };
    const auto plain = gradients(false, 1000);
    EXPECT_EQ(gradients(true, 1000), plain) << name << ", recomputed";
    EXPECT_EQ(gradients(false, 1), plain) << name << ", row by row";
    EXPECT_EQ(gradients(true, 12), plain) << name << ", both";
  }
}

const std::string kDropping = kLora + ", lora_dropout: 0.3, init_lora_weights: false",
                  kDroppingPrompt = kLstmPrompt + ", encoder_num_layers: 2, encoder_dropout: 0.4";
INSTANTIATE_TEST_SUITE_P(Combinations, VirtualBits,
                         testing::Values(std::pair("prompt", Names{kPrompt}),
                                         std::pair("dropping_encoder", Names{kDroppingPrompt}),
                                         std::pair("prompt_dropping_lora", Names{kPrompt, kDropping}),
                                         std::pair("prefix_dropping_lora", Names{kPrefix, kDropping}),
                                         std::pair("lstm_prefix", Names{kLstmPrefix}),
                                         std::pair("prompt_behind_prefix", Names{kPrompt, kTopPrefix, kIa3})),
                         [](const auto& p) { return p.param.first; });

}  // namespace
}  // namespace ft::test
