// checkpoint-N/ from a stranger: one of its files is the input, the others are good. The first byte says
// which.
#include <sstream>

#include "engine/config/yaml.h"
#include "engine/io/text_file.h"
#include "engine/train/checkpoint.h"
#include "tests/fuzz/fuzz.h"

namespace ft::fuzz {
namespace {

constexpr const char* kFiles[] = {"trainer_state.json", "resolved.yaml", "optimizer.safetensors"};

/// A run of one trained tensor, and its files.
struct Run {
  TrainingSection settings;
  Parameter weight = Parameter::make("w", {2, 3}, Parameter::Layout::plain, DType::f32);
  RunIdentity identity;
  std::string good[std::size(kFiles)];

  Run() {
    weight.value.zero();
    weight.train(DType::f32);
    identity = {parse_yaml("{training: {seed: 42, learning_rate: 0.1}}",
                           std::make_shared<const Source>(Source{"exp.yaml", "/"})),
                "base", "data", "avx2"};
    OptimizerState optimizer(settings, {&weight});
    const std::filesystem::path folder = scratch() / "made";
    TrainerState state;
    state.step = 3;
    state.tokens = 10;
    state.best = 1.5;
    save_checkpoint(folder, state, optimizer, {.save = [](const std::filesystem::path&) {}, .load = {}},
                    identity);
    for (size_t i = 0; i < std::size(kFiles); ++i) good[i] = read_text_file(folder / kFiles[i]);
    std::filesystem::remove_all(folder);
  }
};

Run& run() {
  static Run one;
  return one;
}

}  // namespace

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  for (size_t i = 0; i < std::size(kFiles); ++i)
    all.push_back(std::string(1, static_cast<char>(i)) + run().good[i]);
  return all;
}

std::vector<std::string> words() {
  return {"\"step\"",
          "\"updates\"",
          "\"best\"",
          "null",
          "-1",
          "1e400",
          "9223372036854775807",
          "18446744073709551615",
          "1.5",
          "\"base\"",
          "{",
          "}",
          "[",
          "]",
          ":",
          ",",
          "\"w.exp_avg\"",
          "00000.w.exp_avg",
          "F32",
          "training:",
          "seed: 42",
          "\xff"};
}

}  // namespace ft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ft;
  if (size == 0) return 0;
  fuzz::Run& r = fuzz::run();
  const size_t which = data[0] % std::size(fuzz::kFiles);
  for (size_t i = 0; i < std::size(fuzz::kFiles); ++i)
    fuzz::put(std::string("checkpoint-3/") + fuzz::kFiles[i],
              i == which ? fuzz::text_of(data + 1, size - 1) : std::string_view(r.good[i]));
  const std::filesystem::path folder = fuzz::scratch() / "checkpoint-3";
  const auto load = [&](bool anyway) {
    OptimizerState optimizer(r.settings, {&r.weight});
    TrainerState state;
    load_checkpoint(folder, state, optimizer, {.save = {}, .load = [](const std::filesystem::path&) {}},
                    r.identity, anyway);
    if (state.step < 0 || state.metrics_bytes < 0 || optimizer.updates() < 0)
      throw std::logic_error("a count below zero");
  };
  const int taken = fuzz::take_or_refuse([&] { load(false); });
  const int64_t before = fuzz::accepted;
  fuzz::take_or_refuse([&] { load(true); });
  fuzz::take_or_refuse([&] { checkpoint_step(folder); });
  fuzz::accepted = before;
  return taken;
}
