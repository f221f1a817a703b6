// What must not change a single bit: threads, recompute, resume, how rows are grouped (decisions.md, first
// table).
#include <gtest/gtest.h>

#include "engine/train/checkpoint.h"
#include "engine/train/pass.h"
#include "tests/parity/fixture.h"

namespace ft::test {
namespace {

// Rows without wall-clock fields.
std::vector<Json> timeless(std::vector<Json> rows) {
  for (Json& row : rows)
    for (const char* key : {"time", "tokens_per_second", "peak_memory_bytes"}) row.erase(key);
  return rows;
}

struct Outcome {
  std::vector<Json> metrics;
  std::string weights, optimizer;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome outcome(Fixture& f, const std::filesystem::path& out, const std::filesystem::path& resume = {}) {
  Outcome o;
  o.metrics = timeless(f.train(out, resume));
  const std::filesystem::path last = list_checkpoints(out).back();
  o.weights = read_bytes(last / (f.full() ? "model.safetensors" : "adapter_model.safetensors"));
  if (!f.adapter->encoder_tensors().empty()) o.weights += read_bytes(last / "prompt_encoder.safetensors");
  o.optimizer = read_bytes(last / "optimizer.safetensors");
  return o;
}

Outcome run(const std::string& name, const std::vector<std::string>& overrides = {}, int threads = 2,
            const std::string& device = "cpu") {
  Fixture f(name, DType::f32, threads, overrides, device);
  const TemporaryFolder out;
  return outcome(f, out.path());
}

const std::vector<std::string> kCases = {"gpt2_c_attn",
                                         "gpt2_full",
                                         "llama_gqa_rslora",
                                         "qwen2_bias_all",
                                         "qwen3_full",
                                         "qwen3_lora",
                                         "qwen3_ia3_odd",
                                         "gpt2_bitfit",
                                         "gpt2_ln_tuning",
                                         "gpt2_prompt_tuning",
                                         "qwen3_p_tuning_lstm",
                                         "gpt2_prefix",
                                         "llama_prefix_projection",
                                         "gpt2_dora",
                                         "gpt2_pissa",
                                         "llama_adalora"};

void expect_same_after_resume(const std::string& name, const std::string& device) {
  const std::vector<std::string> often = {"training.save_strategy=steps", "training.save_steps=3",
                                          "training.save_total_limit=9"};
  const Outcome whole = run(name, often, 2, device);
  const TemporaryFolder out;
  {
    Fixture f(name, DType::f32, 2, often, device);
    f.train(out.path(), {}, 6);  // stopped behind checkpoint-6
    EXPECT_EQ(list_checkpoints(out.path()).back(), out.path() / "checkpoint-6");
  }
  Fixture f(name, DType::f32, 2, often, device);
  EXPECT_EQ(outcome(f, out.path(), out.path() / "checkpoint-6"), whole);
}

class Bits : public testing::TestWithParam<std::string> {};

TEST_P(Bits, ThreadsDoNotMatter) {
  const Outcome one = run(GetParam(), {}, 1);
  EXPECT_EQ(run(GetParam(), {}, 2), one);
  EXPECT_EQ(run(GetParam(), {}, 4), one);
}

TEST_P(Bits, RecomputeDoesNotMatter) {
  EXPECT_EQ(run(GetParam(), {"training.gradient_checkpointing=true"}), run(GetParam()));
}

TEST_P(Bits, ResumeDoesNotMatter) {
  expect_same_after_resume(GetParam(), "cpu");
}

// must-not-happen 1: what is a batch and what is accumulated changes nothing, in the short last window
// either.
TEST_P(Bits, AccumulationDoesNotMatter) {
  const auto split = [&](int batch, int accumulation) {
    return run(GetParam(), {fmt::format("training.per_device_train_batch_size={}", batch),
                            fmt::format("training.gradient_accumulation_steps={}", accumulation)});
  };
  const Outcome whole = split(4, 1);
  EXPECT_EQ(split(2, 2), whole);
  EXPECT_EQ(split(1, 4), whole);
}

// must-not-happen 24: which rows share a pass changes neither loss nor gradients. The one exception is a tied
// weight that is trained: it is read at two places, whose contributions are added in another order.
TEST_P(Bits, PackingDoesNotMatter) {
  const auto gradients = [&](int64_t pass_tokens) {
    Fixture f(GetParam());
    std::vector<const DataRow*> rows;
    for (const DataRow& r : f.train_rows.rows) rows.push_back(&r);
    const LossSum sum = f.gradients(rows, 1 / 32.0, pass_tokens);
    std::vector<std::vector<double>> all = {{sum.loss}};
    const Parameter* tied = f.model().facts().tied ? f.model().head().weight.parameter : nullptr;
    for (const Parameter* p : f.adapter->trainables())
      if (p != tied) all.push_back(grad_to_plain(*p));
    return all;
  };
  const auto alone = gradients(1);
  EXPECT_EQ(gradients(24), alone);
  EXPECT_EQ(gradients(1000), alone);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Bits, testing::ValuesIn(kCases), [](const auto& p) { return p.param; });

// On the other devices of this program.
class DeviceBits : public testing::TestWithParam<std::tuple<std::string, std::string>> {};

TEST_P(DeviceBits, RepetitionAndRecomputeDoNotMatter) {
  const auto& [device, name] = GetParam();
  const Outcome first = run(name, {}, 2, device);
  EXPECT_EQ(run(name, {}, 1, device), first);
  EXPECT_EQ(run(name, {"training.gradient_checkpointing=true"}, 2, device), first);
}

TEST_P(DeviceBits, ResumeDoesNotMatter) {
  const auto& [device, name] = GetParam();
  expect_same_after_resume(name, device);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceBits);
INSTANTIATE_TEST_SUITE_P(Fixtures, DeviceBits,
                         testing::Combine(testing::ValuesIn(other_devices()),
                                          testing::Values("gpt2_full", "qwen3_lora", "gpt2_prefix",
                                                          "qwen3_p_tuning_lstm")),
                         [](const auto& p) { return device_case_name(p.param); });

}  // namespace
}  // namespace ft::test
