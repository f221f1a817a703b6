// Runs with float16 activations on the devices that compute in it: losses beside PEFT's float32, the loss
// scale through overflow and resume.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "engine/generate/generator.h"
#include "engine/train/loss_scale.h"
#include "tests/parity/fixture.h"

namespace ft::test {
namespace {

TEST(LossScale, doubles_after_2000_good_steps_in_a_row_and_halves_at_once) {
  LossScale scale{.factor = LossScale::kInitial};
  const auto good = [&](int steps) {
    bool grew = false;
    for (int i = 0; i < steps; ++i) grew |= scale.grow();
    return grew;
  };
  EXPECT_FALSE(good(1999));
  EXPECT_TRUE(scale.back_off());
  EXPECT_EQ(scale.factor, 0x1p15);
  EXPECT_FALSE(good(1999));
  EXPECT_TRUE(good(1));
  EXPECT_EQ(scale.factor, 0x1p16);
  EXPECT_FALSE(good(1999));
  for (int i = 0; i < 16; ++i) EXPECT_TRUE(scale.back_off());
  EXPECT_FALSE(scale.back_off());
  EXPECT_EQ(scale.factor, 1);
  scale.factor = LossScale::kMost;
  EXPECT_FALSE(good(5000));
}

class DeviceFloat16 : public testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  static Fixture fixture(int64_t steps = 10) {
    return Fixture(std::get<1>(GetParam()), DType::f16, 2,
                   {"training.fp16=true", fmt::format("training.max_steps={}", steps),
                    "training.save_strategy=steps", "training.save_steps=1"},
                   std::get<0>(GetParam()));
  }
};

std::vector<double> column(const std::vector<Json>& metrics, const char* key) {
  std::vector<double> values;
  for (const Json& row : metrics)
    if (row.contains("loss")) values.push_back(row.at(key).get<double>());
  return values;
}

/// The largest relative distance from PEFT's float32.
double distance(const std::vector<double>& values, const Json& expected) {
  double worst = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double want = expected.at(i).get<double>();
    worst = std::max(worst, std::fabs(values[i] - want) / want);
  }
  return worst;
}

// float16 keeps 11 bits, bfloat16 8. The first step is within an eighth of what bfloat16 is allowed
// (parity_test.cpp); ten steps of Adam at a rate of 0.01 make much of small differences, but float16's curves
// stay the nearer ones by far.
TEST_P(DeviceFloat16, TenStepsAreNearerToFloat32ThanThoseOfBfloat16) {
  const TemporaryFolder out, rival_out;
  Fixture f = fixture(), rival(std::get<1>(GetParam()), DType::bf16, 2, {}, std::get<0>(GetParam()));
  const std::vector<Json> metrics = f.train(out.path()), rivals = rival.train(rival_out.path());
  ASSERT_EQ(column(metrics, "loss").size(), 10u);
  EXPECT_EQ(column(metrics, "loss_scale"), std::vector<double>(10, LossScale::kInitial));
  EXPECT_FALSE(rivals[0].contains("loss_scale"));
  for (const auto& [key, reference] : {std::pair("loss", "losses"), {"grad_norm", "grad_norms"}}) {
    const double ours = distance(column(metrics, key), f.expected.at(reference)),
                 theirs = distance(column(rivals, key), f.expected.at(reference)),
                 first = distance({column(metrics, key)[0]}, f.expected.at(reference));
    EXPECT_LE(first, (key == std::string_view("loss") ? 0.003 : 0.2) / 8) << key;
    EXPECT_LE(ours, theirs / 2) << key;
    EXPECT_LE(ours, 0.05) << key;
  }
}

TEST_P(DeviceFloat16, GreedyTokensOfFloat32) {
  Fixture f = fixture();
  const Json& entry = f.expected.at("greedy")[0];
  GenerationOptions options;
  options.max_new_tokens = entry.at("max_new_tokens").get<int64_t>();
  options.repetition_penalty = entry.at("repetition_penalty").get<double>();
  options.ignore_eos = true;
  const std::vector<std::vector<int32_t>> prompts = {entry.at("input_ids").get<std::vector<int32_t>>()};
  EXPECT_EQ(generate(f.model(), f.stream, f.compute, prompts, options)[0].ids,
            entry.at("ids").get<std::vector<int32_t>>());
}

Json state_of(const std::filesystem::path& checkpoint) {
  return read_json_file(checkpoint / "trainer_state.json");
}
void write_state(const std::filesystem::path& checkpoint, const Json& state) {
  std::ofstream(checkpoint / "trainer_state.json") << state.dump();
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceFloat16);
INSTANTIATE_TEST_SUITE_P(Fixtures, DeviceFloat16,
                         testing::Combine(testing::ValuesIn(other_devices()),
                                          testing::Values("gpt2_c_attn", "qwen3_lora")),
                         [](const auto& p) { return device_case_name(p.param); });

// A scale too large by far, found in a checkpoint: every step that overflows is skipped and halves it, more
// of them in a row than end a run otherwise, until one fits; a run resumed between goes on the same way.
class DeviceLossScale : public DeviceFloat16 {};

TEST_P(DeviceLossScale, OverflowSkipsTheStepHalvesTheScaleAndGoesOn) {
  const TemporaryFolder folder;
  const std::filesystem::path out = folder.path() / "out", again = folder.path() / "again";
  const auto checkpoint = [](const std::filesystem::path& run, int64_t step) {
    return run / fmt::format("checkpoint-{}", step);
  };
  constexpr int64_t kSteps = 14;
  std::filesystem::create_directory(out);
  fixture(kSteps).train(out, {}, 2);
  Json state = state_of(checkpoint(out, 2));
  EXPECT_EQ(state.at("loss_scale"), Json({{"factor", LossScale::kInitial}, {"good_steps", 2}}));
  constexpr double kTooLarge = 0x1p26;
  state["loss_scale"]["factor"] = kTooLarge;
  write_state(checkpoint(out, 2), state);

  const std::vector<double> scales = column(fixture(kSteps).train(out, checkpoint(out, 2)), "loss_scale");
  ASSERT_EQ(scales.size(), static_cast<size_t>(kSteps));
  int64_t skipped = 0, good = 0, most_skipped_in_a_row = 0;
  double scale = kTooLarge;
  for (size_t i = 2; i < scales.size(); ++i) {
    ++good;
    if (scales[i] != scale) {
      EXPECT_EQ(scales[i], scale / 2);
      good = 0;
      if (++skipped == static_cast<int64_t>(i) - 1) most_skipped_in_a_row = skipped;
      EXPECT_EQ(read_bytes(checkpoint(out, static_cast<int64_t>(i + 1)) / "adapter_model.safetensors"),
                read_bytes(checkpoint(out, static_cast<int64_t>(i)) / "adapter_model.safetensors"))
          << "step " << i + 1;
    }
    scale = scales[i];
  }
  EXPECT_GT(most_skipped_in_a_row, 5);
  EXPECT_GT(good, 0);
  state = state_of(checkpoint(out, kSteps));
  EXPECT_EQ(state.at("updates").get<int64_t>(), kSteps - skipped);
  EXPECT_EQ(state.at("skipped_in_a_row").get<int64_t>(), 0);
  EXPECT_EQ(state.at("loss_scale"), Json({{"factor", scale}, {"good_steps", good}}));
  EXPECT_NE(read_bytes(checkpoint(out, kSteps) / "adapter_model.safetensors"),
            read_bytes(checkpoint(out, 2) / "adapter_model.safetensors"));

  std::filesystem::copy(out, again, std::filesystem::copy_options::recursive);
  fixture(kSteps).train(again, checkpoint(again, 5));
  for (const char* file : {"adapter_model.safetensors", "optimizer.safetensors"})
    EXPECT_EQ(read_bytes(checkpoint(again, kSteps) / file), read_bytes(checkpoint(out, kSteps) / file))
        << file;
  EXPECT_EQ(state_of(checkpoint(again, kSteps)).at("loss_scale"), state.at("loss_scale"));
}

TEST_P(DeviceLossScale, LossesThatAreNotFiniteEndTheRun) {
  Fixture f = fixture();
  Parameter& p = *f.adapter->trainables()[0];
  from_plain(p, std::vector<float>(static_cast<size_t>(p.numel()), std::nanf("")));
  const TemporaryFolder out;
  try {
    f.train(out.path());
    ADD_FAILURE() << "the run went on";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("5 steps in a row"), std::string::npos) << e.what();
  }
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceLossScale);
INSTANTIATE_TEST_SUITE_P(Fixtures, DeviceLossScale,
                         testing::Combine(testing::ValuesIn(other_devices()), testing::Values("qwen3_lora")),
                         [](const auto& p) { return device_case_name(p.param); });

}  // namespace
}  // namespace ft::test
