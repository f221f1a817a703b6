// Generated ids against Transformers', and what must not change them: batches, threads, the cache.
#include "engine/generate/generator.h"

#include <cstring>
#include <map>
#include <set>

#include "engine/ops/head.h"
#include "tests/generate/support.h"

namespace ft {
namespace {

using Prompts = std::vector<std::vector<int32_t>>;

Prompts ragged_prompts(int count, int64_t vocab) {
  Prompts prompts;
  for (int i = 0; i < count; ++i)
    for (int j = 0; j <= (i * 5) % 7; ++j) {
      if (j == 0) prompts.emplace_back();
      prompts.back().push_back(static_cast<int32_t>((i * 13 + j * 29 + 1) % vocab));
    }
  return prompts;
}

void expect_greedy(TestModel& m, const Json& entries) {
  for (const Json& g : entries) {
    GenerationOptions o;
    o.max_new_tokens = g.at("max_new_tokens").get<int64_t>();
    o.repetition_penalty = g.at("repetition_penalty").get<double>();
    const auto got = m.run({g.at("input_ids").get<std::vector<int32_t>>()}, o);
    EXPECT_EQ(got[0].ids, g.at("ids").get<std::vector<int32_t>>()) << "penalty " << o.repetition_penalty;
    EXPECT_EQ(got[0].reason, StopReason::length);
  }
}

class EveryFixture : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Models, EveryFixture, ::testing::ValuesIn(fixture_cases()),
                         [](const auto& info) { return info.param; });

TEST_P(EveryFixture, GreedyIdsAreTransformers) {
  TestModel m(GetParam());
  const Json expected = expected_of(GetParam());
  ASSERT_EQ(expected.at("greedy").size(), 2u);
  expect_greedy(m, expected.at("greedy"));
}

TEST_P(EveryFixture, GreedyIdsAfterTrainingAreTransformers) {
  const bool whole = std::filesystem::exists(kFixtures / "models" / GetParam() / "model_final");
  TestModel m(GetParam(), "adapter_final", whole ? "model_final" : "model");
  const Json expected = expected_of(GetParam());
  ASSERT_EQ(expected.at("greedy_final").size(), 1u);
  expect_greedy(m, expected.at("greedy_final"));
}

TEST_P(EveryFixture, ABatchOf1And2And8RowsGivesTheSameIds) {
  TestModel m(GetParam());
  const Prompts prompts = ragged_prompts(8, m.model().facts().vocab);
  for (const bool sample : {false, true}) {
    GenerationOptions o;
    o.max_new_tokens = 6;
    o.do_sample = sample;
    o.temperature = 1.5;
    std::vector<Generated> one, two;
    for (size_t i = 0; i < 8; ++i) one.push_back(m.run({prompts[i]}, o, {}, {.first_row = i})[0]);
    for (size_t i = 0; i < 8; i += 2)
      for (auto& g : m.run({prompts[i], prompts[i + 1]}, o, {}, {.first_row = i})) two.push_back(g);
    const auto eight = m.run(prompts, o);
    for (size_t i = 0; i < 8; ++i) {
      EXPECT_EQ(one[i].ids.size(), 6u);
      EXPECT_EQ(one[i].ids, two[i].ids) << "row " << i << " sample " << sample;
      EXPECT_EQ(one[i].ids, eight[i].ids) << "row " << i << " sample " << sample;
    }
  }
}

/// Hidden states of `ids`, seen in pieces through a cache, or at once without (pieces empty).
Tensor hidden_of(TestModel& m, const std::vector<int32_t>& ids, const std::vector<int>& pieces) {
  std::vector<Adapter*> adapters;
  if (m.adapter) adapters.push_back(m.adapter.get());
  const AdapterStep step(m.model(), adapters, m.stream, DType::f32, {});  // what a method computes once
  const auto total = static_cast<int64_t>(ids.size());
  Tensor all = Tensor::empty({total, m.model().facts().hidden}, DType::f32);
  KvCache cache = m.model().make_cache(2, total + 3, DType::f32);
  int64_t seen = 0;
  for (const int piece : pieces.empty() ? std::vector<int>{static_cast<int>(total)} : pieces) {
    auto layout = std::make_shared<Layout>();
    layout->add_sample(piece, 0, static_cast<int32_t>(seen));
    Tape tape(m.stream, DType::f32, layout, false);
    Forward forward{.tape = tape};
    if (!pieces.empty()) {
      forward.cache = &cache;
      forward.cache_rows = {1};
    }
    const auto part =
        std::make_shared<const std::vector<int32_t>>(ids.begin() + seen, ids.begin() + seen + piece);
    const Tensor h = m.model().hidden(forward, part).value();
    std::memcpy(all.rows(seen, seen + piece).raw(), h.raw(), h.bytes());
    seen += piece;
  }
  return all;
}

TEST_P(EveryFixture, TheCacheGivesTheBitsOfAWholePass) {
  const std::vector<int32_t> ids = {5, 3, 8, 1, 9, 9, 2, 4, 7, 6, 11, 13, 12};
  for (const DType storage : {DType::f32, DType::bf16, DType::f16}) {
    TestModel m(GetParam(), "adapter_init", "model", 2, storage);
    const Tensor whole = hidden_of(m, ids, {});
    for (const std::vector<int>& pieces : {std::vector<int>(13, 1), {5, 1, 1, 6}, {12, 1}}) {
      const Tensor cached = hidden_of(m, ids, pieces);
      EXPECT_EQ(std::memcmp(whole.raw(), cached.raw(), whole.bytes()), 0)
          << dtype_name(storage) << " in " << pieces.size() << " pieces";
    }
  }
}

TEST(Generator, EndTokensOfTheFolderStopARow) {
  int cases = 0;
  for (const std::string& name : fixture_cases()) {
    const Json stop = expected_of(name).at("stop");
    if (stop.is_null()) continue;
    ++cases;
    TestModel m(name);
    GenerationSection asked;
    asked.max_new_tokens = stop.at("max_new_tokens").get<int64_t>();
    const FolderGeneration folder = read_folder_generation(kFixtures / "models" / name / "model");
    EXPECT_EQ(folder.stop_ids, stop.at("eos_token_id").get<std::vector<int32_t>>());
    const Prompts prompt = {stop.at("input_ids").get<std::vector<int32_t>>()};
    const auto got = m.run(prompt, resolve_generation(asked, folder, {}));
    EXPECT_EQ(got[0].ids, stop.at("ids").get<std::vector<int32_t>>());
    EXPECT_EQ(got[0].reason, StopReason::end_token);
    asked.ignore_eos = true;
    EXPECT_EQ(m.run(prompt, resolve_generation(asked, folder, {}))[0].ids.size(), 12u);
  }
  EXPECT_GE(cases, 1);
}

TEST(Generator, RowsThatEndMakeRoomAndPassesAreBounded) {
  TestModel m("llama_gqa_rslora");
  const Prompts prompts = ragged_prompts(11, m.model().facts().vocab);
  GenerationOptions o;
  o.max_new_tokens = 9;
  o.do_sample = true;
  o.stop_ids = {3, 10, 20, 30, 40, 50, 60};  // rows end at different times
  const auto whole = m.run(prompts, o);
  for (const Batching& batching : {Batching{.rows = 3}, Batching{.rows = 16, .tokens = 4},
                                   Batching{.rows = 1, .tokens = 1}, Batching{.rows = 5, .tokens = 3}}) {
    const auto got = m.run(prompts, o, {}, batching);
    for (size_t i = 0; i < prompts.size(); ++i) {
      EXPECT_EQ(got[i].ids, whole[i].ids) << "row " << i;
      EXPECT_EQ(got[i].reason, whole[i].reason) << "row " << i;
    }
  }
  std::set<size_t> lengths;
  for (const Generated& g : whole) lengths.insert(g.ids.size());
  EXPECT_GT(lengths.size(), 2u) << "the rows are to end at different times";
}

TEST(Generator, ThreadsDoNotShow) {
  GenerationOptions o;
  o.max_new_tokens = 10;
  o.do_sample = true;
  TestModel one("qwen3_lora", "adapter_init", "model", 1), three("qwen3_lora", "adapter_init", "model", 3);
  const Prompts prompts = ragged_prompts(5, one.model().facts().vocab);
  const auto a = one.run(prompts, o), b = three.run(prompts, o);
  for (size_t i = 0; i < prompts.size(); ++i) EXPECT_EQ(a[i].ids, b[i].ids);
}

TEST(Generator, TheSeedDecidesWhatIsDrawn) {
  TestModel m("llama_full_untied");
  GenerationOptions o;
  o.max_new_tokens = 12;
  o.do_sample = true;
  const Prompts prompts = {{4, 5}, {4, 5}};
  const auto first = m.run(prompts, o), again = m.run(prompts, o);
  EXPECT_EQ(first[0].ids, again[0].ids);
  EXPECT_NE(first[0].ids, first[1].ids) << "rows draw their own numbers";
  o.seed = 7;
  EXPECT_NE(m.run(prompts, o)[0].ids, first[0].ids);
}

TEST(Generator, TheCallbackSeesEveryIdInOrderAndMayEndARow) {
  TestModel m("llama_full_untied");
  GenerationOptions o;
  o.max_new_tokens = 5;
  std::map<size_t, std::vector<int32_t>> seen;
  const auto got = m.run({{1, 2}, {3}}, o, [&](size_t row, int32_t id) {
    seen[row].push_back(id);
    return !(row == 1 && seen[row].size() == 2);
  });
  EXPECT_EQ(got[0].ids, seen[0]);
  EXPECT_EQ(got[0].ids.size(), 5u);
  EXPECT_EQ(got[1].ids, seen[1]);
  EXPECT_EQ(got[1].ids.size(), 2u);
  EXPECT_EQ(got[1].reason, StopReason::stopped);
}

TEST(Generator, LengthLimits) {
  TestModel m("gpt2_full");  // 32 positions
  const std::vector<int32_t> prompt(30, 4);
  GenerationOptions o;
  EXPECT_EQ(m.run({{1, 2, 3}}, o)[0].ids.size(), 20u);
  o.max_length = 5;
  EXPECT_EQ(m.run({{1, 2, 3}}, o)[0].ids.size(), 2u);
  EXPECT_NE(error_of([&] { m.run({{1}, {1, 2, 3, 4, 5}}, o); }).find("prompt 2:"), std::string::npos);
  o.max_length.reset();
  o.max_new_tokens = 1'000'000'000'000;
  const auto got = m.run({prompt}, o);
  EXPECT_EQ(got[0].ids.size(), 3u);  // positions 30 and 31 are there for two of them; the third needs none
  EXPECT_EQ(got[0].reason, StopReason::max_positions);
}

TEST(Generator, RefusesPromptsThatCannotBe) {
  TestModel m("gpt2_full");
  const GenerationOptions o;
  EXPECT_NE(error_of([&] { m.run({{}}, o); }).find("empty"), std::string::npos);
  EXPECT_NE(error_of([&] { m.run({{1, 101}}, o); }).find("101"), std::string::npos);
  EXPECT_NE(error_of([&] { m.run({{-1}}, o); }).find("-1"), std::string::npos);
  EXPECT_NE(error_of([&] { m.run({std::vector<int32_t>(33, 1)}, o); }).find("33"), std::string::npos);
  EXPECT_TRUE(m.run({}, o).empty());
}

}  // namespace
}  // namespace ft
