// Several adapters on one base: switched, scaled, and what may not act together.
#include <gtest/gtest.h>

#include "tests/adapter_contract/subject.h"

namespace ft::contract {
namespace {

constexpr const char* kFixture = "gpt2_c_attn";

void save_trained(const std::string& adapter, const fs::path& folder, const std::string& rate = "0.01") {
  Subject s(kFixture, {adapter}, {.overrides = {"training.learning_rate=" + rate}});
  const TemporaryFolder out;
  s.train(out.path());
  s.save(folder);
}

std::vector<double> alone(const fs::path& folder) {
  return Subject::loaded(kFixture, {folder}).losses();
}

TEST(SeveralAdapters, EachIsItselfWhenTheOthersAreOff) {
  const TemporaryFolder lora, other, bottleneck;
  save_trained("{peft_type: LORA, r: 2}", lora.path());
  save_trained("{peft_type: LORA, r: 3, target_modules: [c_fc]}", other.path(), "0.02");
  save_trained("{peft_type: BOTTLENECK}", bottleneck.path());
  Subject all = Subject::loaded(kFixture, {lora.path(), other.path(), bottleneck.path()});
  const std::vector<fs::path> folders = {lora.path(), other.path(), bottleneck.path()};
  for (size_t i = 0; i < 3; ++i) {
    all.set_active(false);
    all.adapters().all()[i]->set_active(true);
    EXPECT_EQ(all.losses(), alone(folders[i])) << i;
  }
}

TEST(SeveralAdapters, TwoTrainedCopiesOfOnePlaceAreRefused) {
  const TemporaryFolder bitfit;
  save_trained("{peft_type: BITFIT}", bitfit.path());
  EXPECT_THROW(Subject::loaded(kFixture, {bitfit.path(), bitfit.path()}), InputError);
}

// One after the other, each attached while the others are off.
TEST(SeveralAdapters, CopiesOfOnePlaceTakeTurns) {
  const TemporaryFolder first, second;
  save_trained("{peft_type: BITFIT}", first.path());
  save_trained("{peft_type: BITFIT}", second.path(), "0.02");
  Subject s = Subject::loaded(kFixture, {first.path()});
  s.set_active(false);
  AdapterStack other = load_stack(std::vector<fs::path>{second.path()}, s.model(), s.fingerprint(),
                                  {.training = false, .where = {}});
  EXPECT_EQ(s.losses(), alone(second.path()));
  EXPECT_THROW(s.set_active(true), InputError);
  other.all()[0]->set_active(false);
  EXPECT_EQ(s.losses(), Subject(kFixture, {}).losses());
  s.set_active(true);
  EXPECT_EQ(s.losses(), alone(first.path()));
}

TEST(SeveralAdapters, ALoraScales) {
  const TemporaryFolder lora, bitfit;
  save_trained("{peft_type: LORA, r: 2}", lora.path());
  Subject s = Subject::loaded(kFixture, {lora.path()});
  Adapter& adapter = *s.adapters().all()[0];
  const std::vector<double> whole = s.losses(), plain = Subject(kFixture, {}).losses();
  adapter.set_scale(0.5);
  const std::vector<double> half = s.losses();
  EXPECT_NE(half, whole);
  EXPECT_NE(half, plain);
  const TemporaryFolder folder;
  s.merge(folder.path());
  EXPECT_LT(distance(Subject(kFixture, {}, {.model = folder.path()}).losses(), half), 1e-5);
  adapter.set_scale(1);
  EXPECT_EQ(s.losses(), whole);
  save_trained("{peft_type: BITFIT}", bitfit.path());
  EXPECT_THROW(Subject::loaded(kFixture, {bitfit.path()}).adapters().all()[0]->set_scale(0.5), InputError);
}

// BitFit computes sums and nothing else: no frozen weight has a gradient, and nothing below the lowest bias
// wants one.
TEST(BitFit, ComputesNothingBelowItsLowestBias) {
  struct Probe : BlockAdapter {
    std::vector<bool> wants_residual = {}, wants_output = {};
    Var block(Forward& f, int, Sublayer, const Var& x, const Var& residual) override {
      if (f.tape.recording()) {
        wants_residual.push_back(residual.requires_grad());
        wants_output.push_back(x.requires_grad());
      }
      return x;
    }
    bool acts_on(int) const override { return false; }
  } probe;
  for (const std::string fixture : {"gpt2_c_attn", "bloom_lora"}) {
    Subject s(fixture, {"{peft_type: BITFIT, bias_names: ['1\\.(ln_1|input_layernorm|mlp\\..*)\\.bias']}"});
    s.model().block_adapters().push_back(&probe);
    probe.wants_residual.clear();
    probe.wants_output.clear();
    for (const std::vector<double>& g : s.gradients(100000))
      EXPECT_TRUE(std::any_of(g.begin(), g.end(), [](double v) { return v != 0; }));
    // Layer 0: attention, feed-forward; layer 1: attention (behind ln_1), feed-forward.
    EXPECT_EQ(probe.wants_residual, (std::vector<bool>{false, false, false, true})) << fixture;
    EXPECT_EQ(probe.wants_output, (std::vector<bool>{false, false, true, true})) << fixture;
    for (const Slot* slot : s.model().slots())
      EXPECT_EQ(slot->parameter->grad.defined(), slot->parameter->trainable) << slot->name;
    int trained = 0;
    for (const Slot* slot : s.model().slots()) {
      trained += slot->parameter->trainable;
      EXPECT_TRUE(slot->name.ends_with(".bias") || !slot->parameter->trainable) << slot->name;
    }
    EXPECT_EQ(trained, 3);
    s.model().block_adapters().pop_back();
  }
}

}  // namespace
}  // namespace ft::contract
