// Generation on the device: the CPU's tokens for every way of choosing them, and the same bits whether the
// step is recorded or its kernels are queued one by one.
#include <gtest/gtest.h>

#include "engine/generate/device_decoder.h"
#include "engine/generate/generator.h"
#include "engine/generate/sampler.h"
#include "kernels/sim/sim.h"
#include "tests/parity/fixture.h"

namespace ft::test {
namespace {

const std::vector<std::vector<int32_t>> kPrompts = {
    {5, 9, 3}, {7}, {1, 2, 3, 4, 5, 6, 7}, {11, 4}, {8, 8, 8}};

std::vector<std::vector<int32_t>> texts(const std::string& name, const std::string& device,
                                        const GenerationOptions& options, const Batching& batching = {}) {
  Fixture f(name, DType::f32, 1, {}, device);
  std::vector<std::vector<int32_t>> all;
  for (const Generated& g : generate(f.model(), f.stream, f.compute, kPrompts, options, {}, batching))
    all.push_back(g.ids);
  return all;
}

GenerationOptions options(bool sample) {
  GenerationOptions o;
  o.max_new_tokens = 9;
  o.ignore_eos = true;
  o.do_sample = sample;
  o.repetition_penalty = 1.2;
  if (sample) {
    o.temperature = 1.3;
    o.top_p = 0.95;
  }
  return o;
}

class Unrecorded {
 public:
  Unrecorded() { recordings_allowed() = false; }
  Unrecorded(const Unrecorded&) = delete;
  Unrecorded& operator=(const Unrecorded&) = delete;
  ~Unrecorded() { recordings_allowed() = true; }
};

class DeviceGeneration : public testing::TestWithParam<std::string> {};

TEST_P(DeviceGeneration, HasTheCpusTokens) {
  for (const bool sample : {false, true}) {
    const auto want = texts(GetParam(), "cpu", options(sample));
    const uint64_t before = sim::graph_launches();
    EXPECT_EQ(texts(GetParam(), "cuda-sim", options(sample)), want);
    EXPECT_GE(sim::graph_launches(), before + 6);
    // Three rows at once, so that rows come and go and each number of them has its own step; small passes, so
    // that prompts come in pieces.
    EXPECT_EQ(texts(GetParam(), "cuda-sim", options(sample), {.rows = 3, .tokens = 4}), want);
  }
}

// Through lengths at which the cache grows, and with another number of rows in between.
TEST_P(DeviceGeneration, RecordedStepsHaveTheBitsOfQueuedOnes) {
  struct Outcome {
    std::vector<std::vector<int32_t>> ids;
    std::vector<std::vector<float>> cache;
  };
  const auto run = [&] {
    Fixture f(GetParam(), DType::f32, 1, {}, "cuda-sim");
    GenerationOptions o = options(true);
    DeviceDecoder decoder(f.model(), f.stream, f.compute, o, 2, 40);
    KvCache cache = f.model().make_cache(2, 24, f.compute);
    for (Tensor& t : cache.k) t.zero();
    for (Tensor& t : cache.v) t.zero();
    std::vector<TextRow> rows = {{1, 5, 1, random_key(3, 0)}, {0, 9, 1, random_key(3, 1)}};
    for (const TextRow& r : rows) decoder.open(r.slot, {&r.last, 1});
    Outcome out;
    for (int step = 0; step < 12; ++step) {
      const size_t count = step == 6 ? 1 : 2;
      const std::vector<int32_t> chosen = decoder.step(cache, std::span(rows).first(count));
      for (size_t r = 0; r < count; ++r) {
        rows[r].last = chosen[r];
        ++rows[r].length;
      }
      out.ids.push_back(chosen);
    }
    for (const auto* side : {&cache.k, &cache.v})
      for (const Tensor& t : *side) out.cache.push_back(t.to_vector<float>());
    return out;
  };
  const uint64_t before = sim::graph_launches();
  const Outcome recorded = run();
  EXPECT_EQ(sim::graph_launches(), before + 10);  // all but the first for each number of rows
  const Unrecorded off;
  const Outcome queued = run();
  EXPECT_EQ(sim::graph_launches(), before + 10);
  EXPECT_EQ(recorded.ids, queued.ids);
  ASSERT_EQ(recorded.cache.size(), queued.cache.size());
  for (size_t i = 0; i < queued.cache.size(); ++i)
    EXPECT_EQ(
        std::memcmp(recorded.cache[i].data(), queued.cache[i].data(), queued.cache[i].size() * sizeof(float)),
        0)
        << "cache tensor " << i;
}

INSTANTIATE_TEST_SUITE_P(Fixtures, DeviceGeneration,
                         testing::Values("gpt2_c_attn", "llama_gqa_rslora", "qwen3_lora"),
                         [](const auto& p) { return p.param; });

TEST(DeviceDecoding, WhatCannotBeRecordedIsQueued) {
  const auto want = texts("llama_dynamic_rope", "cpu", options(false));
  const uint64_t before = sim::graph_launches();
  EXPECT_EQ(texts("llama_dynamic_rope", "cuda-sim", options(false)), want);
  EXPECT_EQ(sim::graph_launches(), before);
}

TEST(DeviceDecoding, AStepWaitsOnceForItsIds) {
  Fixture f("qwen3_lora", DType::f32, 1, {}, "cuda-sim");
  DeviceDecoder decoder(f.model(), f.stream, f.compute, options(false), 1, 40);
  KvCache cache = f.model().make_cache(1, 24, f.compute);
  TextRow row{0, 5, 1, 0};
  decoder.open(0, {&row.last, 1});
  for (int step = 0; step < 5; ++step) {
    sim::clear_host_waits();
    row.last = decoder.step(cache, {&row, 1})[0];
    ++row.length;
    if (step == 0) continue;  // makes what is made once
    EXPECT_EQ(sim::host_waits(), (std::map<std::string, uint64_t>{{"cudaStreamSynchronize", 1}})) << step;
  }
}

}  // namespace
}  // namespace ft::test
