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

struct Steps {
  std::vector<double> losses, norms;
  uint64_t graphs = 0;
};

/// Optimizer steps over four rows of one length, other ones in each step, in passes of two rows or of
/// `micro_batch` ones.
Steps train_uniform_rows(const std::string& fixture, bool record, bool recompute, int64_t micro_batch = 1) {
  Fixture f(fixture, DType::f32, 1, {}, "cuda-sim");
  recordings_allowed() = record;
  OptimizerState optimizer(f.experiment.training, f.adapter->trainables());
  std::vector<Adapter*> adapters = {f.adapter.get()};
  PassRecordings recordings;
  Steps steps;
  const uint64_t before = sim::graph_launches();
  for (uint64_t step = 0; step < 4; ++step) {
    RowArena arena;
    std::vector<DataRow> drawn;
    for (uint64_t r = 0; r < 4; ++r) {
      std::vector<int32_t> ids;
      for (uint64_t i = 0; i < 9; ++i) ids.push_back(static_cast<int32_t>(mix_key(step * 4 + r, i) % 40));
      drawn.push_back(arena.keep(ids, ids));
    }
    std::vector<const DataRow*> rows;
    for (const DataRow& r : drawn) rows.push_back(&r);
    QueuedLosses losses;
    sim::clear_host_waits();
    queue_rows(f.model(), f.stream, rows,
               {.training = true,
                .recompute = recompute,
                .gradient_scale = 1 / 32.0,
                .recordings = PassRecordings::possible(f.model(), adapters) ? &recordings : nullptr,
                .pass_tokens = 20,
                .micro_batch = micro_batch},
               losses);
    if (step > 0) {
      EXPECT_EQ(sim::host_waits(), Waits());
    }
    steps.norms.push_back(optimizer.gradient_norm(f.stream, losses.copies()));
    optimizer.step(f.stream, 1e-2, 1);
    optimizer.clear_gradients(f.stream);
    LossSum sum;
    losses.count(sum);
    EXPECT_EQ(sum.targets, 32);
    steps.losses.push_back(sum.loss);
  }
  recordings_allowed() = true;
  steps.graphs = sim::graph_launches() - before;
  return steps;
}

// Passes whose shape repeats are captured as a graph: the third and all after it are one launch each, with
// the bits of passes queued kernel by kernel.
TEST(PassRecordings, APassWhoseShapeRepeatsIsOneGraph) {
  for (const char* fixture : {"llama_gqa_rslora", "qwen3_ia3_odd", "gpt2_full"}) {
    for (const bool recompute : {false, true}) {
      SCOPED_TRACE(fmt::format("{}, recompute {}", fixture, recompute));
      const Steps plain = train_uniform_rows(fixture, false, recompute),
                  recorded = train_uniform_rows(fixture, true, recompute);
      EXPECT_EQ(plain.graphs, 0u);
      EXPECT_EQ(recorded.graphs, 6u);  // of 8 passes
      EXPECT_EQ(plain.losses, recorded.losses);
      EXPECT_EQ(plain.norms, recorded.norms);
      EXPECT_NE(plain.losses[0], plain.losses[3]);
    }
  }
}

TEST(QueueRows, AMicroBatchIsOnePassOnADevice) {
  const Steps halves = train_uniform_rows("llama_gqa_rslora", true, false),
              whole = train_uniform_rows("llama_gqa_rslora", true, false, 4);
  EXPECT_EQ(whole.graphs, 2u);  // of 4 passes
  EXPECT_EQ(whole.losses, halves.losses);
  EXPECT_EQ(whole.norms, halves.norms);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, DeviceStep,
                         testing::Values("gpt2_c_attn", "gpt2_full", "llama_gqa_rslora", "qwen3_lora",
                                         "qwen3_ia3_odd"),
                         [](const auto& p) { return p.param; });

}  // namespace
}  // namespace ft::test
