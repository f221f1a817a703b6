// Does the host run ahead of the device? A training step waits once, for what its log needs.
#include <gtest/gtest.h>

#include "engine/core/rng.h"
#include "engine/train/optimizer.h"
#include "engine/train/pass.h"
#include "kernels/sim/sim.h"
#include "tests/parity/fixture.h"

namespace ft::test {
namespace {

using Waits = std::map<std::string, uint64_t>;

class DeviceStep : public testing::TestWithParam<std::string> {};

TEST_P(DeviceStep, WaitsOnceForItsLog) {
  Fixture f(GetParam(), DType::f32, 1, {}, "cuda-sim");
  OptimizerState optimizer(f.experiment.training, f.adapter->trainables());
  std::vector<const DataRow*> rows;
  int64_t targets = 0;
  for (const DataRow& r : f.train_rows.rows) {
    rows.push_back(&r);
    targets += r.targets();
  }
  for (int step = 0; step < 2; ++step) {
    if (step == 1) sim::clear_host_waits();  // the first makes what is made once
    QueuedLosses losses;
    queue_rows(f.model(), f.stream, rows,
               {.training = true,
                .dropout_key = dropout_key(1, static_cast<uint64_t>(step)),
                .gradient_scale = 1 / static_cast<double>(targets),
                .pass_tokens = 20},  // several passes
               losses);
    if (step == 1) {
      EXPECT_EQ(sim::host_waits(), Waits());
    }
    const double norm = optimizer.gradient_norm(f.stream, losses.copies());
    optimizer.step(f.stream, 1e-3, std::min(1.0, 1 / norm));
    optimizer.clear_gradients(f.stream);
    LossSum sum;
    losses.count(sum);
    EXPECT_EQ(sum.targets, targets);
    EXPECT_TRUE(std::isfinite(sum.mean()) && norm > 0);
  }
  EXPECT_EQ(sim::host_waits(), (Waits{{"cudaStreamSynchronize", 1}}));
}

INSTANTIATE_TEST_SUITE_P(Fixtures, DeviceStep,
                         testing::Values("gpt2_c_attn", "gpt2_full", "llama_gqa_rslora", "qwen3_lora",
                                         "qwen3_ia3_odd"),
                         [](const auto& p) { return p.param; });

}  // namespace
}  // namespace ft::test
