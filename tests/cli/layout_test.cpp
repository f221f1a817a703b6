// must-not-happen 13 and 24: what a pass holds, and what packing rows end to end changes (nothing).
#include <algorithm>
#include <cstring>

#include "adapters/registry.h"
#include "engine/core/memory.h"
#include "engine/train/pass.h"
#include "engine/train/trainer.h"
#include "tests/cli/program.h"
#include "tests/cli/tiny_model.h"

namespace ft::cli {
namespace {

struct Cpu {
  ThreadPool pool{2};
  Stream stream{CpuStream(pool)};
};

ConfigNode lora_config() {
  ConfigNode node = ConfigNode::map();
  node.set("peft_type", "LORA");
  node.set("r", 4);
  node.set("target_modules", "all-linear");
  node.set("init_lora_weights", false);  // B too is drawn, so that every gradient is alive
  return node;
}

std::vector<const DataRow*> pointers(const std::vector<DataRow>& rows) {
  std::vector<const DataRow*> all;
  for (const DataRow& r : rows) all.push_back(&r);
  return all;
}

/// Gradients of all trainables, cleared afterwards.
std::vector<double> take_gradients(const Adapter& adapter) {
  std::vector<double> all;
  for (Parameter* p : adapter.trainables()) {
    const std::vector<double> g = grad_to_plain(*p);
    all.insert(all.end(), g.begin(), g.end());
    p->grad.zero();
  }
  return all;
}

TEST(Layout, PackedLossAndGradientsAreThoseOfSingleRows) {
  Cpu cpu;
  auto model = tiny_model(tiny_config(97, 64));
  auto adapter = find_adapter_kind(lora_config()).make(lora_config(), "adapter", false);
  adapter->attach(*model, {.compute = DType::f32, .seed = 3, .index = 0, .where = "test"});
  const std::vector<DataRow> rows = drawn_rows({2, 9, 33, 4, 17, 5, 29, 12}, 97);
  const std::vector<const DataRow*> all = pointers(rows);
  const PassSettings settings{.training = true, .gradient_scale = 0.01};

  LossSum packed;
  run_rows(*model, cpu.stream, all, settings, packed);
  const std::vector<double> want = take_gradients(*adapter);
  EXPECT_GT(std::count_if(want.begin(), want.end(), [](double g) { return g != 0; }),
            static_cast<int64_t>(want.size() / 2));

  for (const std::vector<size_t>& split : {std::vector<size_t>{1, 1, 1, 1, 1, 1, 1, 1}, {3, 5}, {7, 1}}) {
    LossSum single;
    size_t begin = 0;
    for (const size_t count : split) {
      run_rows(*model, cpu.stream, std::span(all).subspan(begin, count), settings, single);
      begin += count;
    }
    const std::vector<double> got = take_gradients(*adapter);
    EXPECT_EQ(single.loss, packed.loss);
    EXPECT_EQ(single.targets, packed.targets);
    EXPECT_TRUE(got == want) << "in " << split.size() << " parts";
  }
}

/// Peak of activations and workspace during `f`, beyond what was there.
template <class F>
size_t peak_bytes(F&& f) {
  const auto sum = [](bool peak) {
    size_t bytes = 0;
    for (const MemoryClass c : {MemoryClass::activations, MemoryClass::workspace}) {
      const MemoryUse use = memory_use()[static_cast<size_t>(c)];
      bytes += peak ? use.peak : use.live;
    }
    return bytes;
  };
  reset_memory_peaks();
  const size_t before = sum(false);
  f();
  return sum(true) - before;
}

TEST(Layout, NoBufferOfTokensTimesVocabularyInTrainingOrEvaluation) {
  constexpr int64_t kVocab = 30000, kTokens = 400;
  Cpu cpu;
  auto model = tiny_model(tiny_config(kVocab, 512));
  auto adapter = find_adapter_kind(lora_config()).make(lora_config(), "adapter", false);
  adapter->attach(*model, {.compute = DType::f32, .seed = 3, .index = 0, .where = "test"});
  Dataset data;
  data.rows = drawn_rows({kTokens, kTokens, 7}, kVocab);
  const std::vector<const DataRow*> rows = pointers(data.rows);

  LossSum sum;
  const size_t training = peak_bytes(
      [&] { run_rows(*model, cpu.stream, rows, {.training = true, .gradient_scale = 0.01}, sum); });
  const size_t evaluation =
      peak_bytes([&] { EXPECT_GT(evaluate(*model, {}, cpu.stream, DType::f32, data), 0.0); });
  constexpr size_t kLogits = size_t{kTokens} * kVocab * sizeof(float);
  std::printf("logits of one row: %.1f MB; training peaks at %.1f MB, evaluation at %.1f MB\n", kLogits / 1e6,
              static_cast<double>(training) / 1e6, static_cast<double>(evaluation) / 1e6);
  EXPECT_LT(training, kLogits / 2);
  EXPECT_LE(evaluation, training);
}

// The same from outside, where nothing can hide from the count: the whole process.
TEST(Layout, ARunOfALargeVocabularyStaysSmall) {
  if (kSanitized) GTEST_SKIP() << "memory figures mean nothing under AddressSanitizer";
  constexpr int64_t kVocab = 50000, kTokens = 800;
  const TemporaryFolder folder;
  save_tiny_model(*tiny_model(tiny_config(kVocab, 1024)), folder / "model");
  std::string text;
  for (const DataRow& row : drawn_rows({kTokens, kTokens, 20}, kVocab))
    text += nlohmann::json{{"input_ids", row.ids}}.dump() + "\n";
  write_bytes(folder / "train.jsonl", text);
  write_bytes(
      folder / "exp.yaml",
      "model: {path: model}\nadapter: {peft_type: LORA, r: 4}\n"
      "data: {train: {path: train.jsonl, format: tokenized}, eval: {path: train.jsonl, format: tokenized}}\n"
      "training: {output_dir: out, max_steps: 1, save_strategy: 'no'}\n");
  const Outcome o = ftengine({"run", "exp.yaml"}, folder.path());
  expect_success(o);
  std::printf("one row's logits would take %.0f MB; the whole process took %.0f MB\n",
              kTokens * kVocab * 4 / 1e6, static_cast<double>(o.peak_bytes) / 1e6);
  EXPECT_LT(o.peak_bytes, kTokens * kVocab * 4);
}

}  // namespace
}  // namespace ft::cli
