#include "tools/ftengine/probe.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/core/rng.h"
#include "engine/generate/cache.h"
#include "engine/ops/head.h"

namespace ft {
namespace {

constexpr size_t kPrompts = 4, kTokens = 16;
constexpr const char* kTexts[kPrompts] = {
    "The quick brown fox jumps over the lazy dog because it is late.",
    "Question: What is the capital of France? Answer: The capital is",
    "请用一句话介绍你自己，并说明你能做什么。",
    "def add(a, b):\n    return a + b\n\nprint(add(1, 2))",
};

}  // namespace

Prompts probe_prompts(const Tokenizer* tokenizer, const ModelFacts& facts) {
  const size_t longest = std::min<size_t>(kTokens, static_cast<size_t>(facts.max_positions));
  Prompts prompts;
  for (size_t i = 0; i < kPrompts; ++i) {
    std::vector<int32_t> ids;
    if (tokenizer) ids = tokenizer->encode(kTexts[i]);
    std::erase_if(ids, [&](int32_t id) { return id >= facts.vocab; });
    Rng rng(i, "probe");
    while (ids.size() < 2 && ids.size() < longest)
      ids.push_back(static_cast<int32_t>(rng.below(static_cast<uint32_t>(facts.vocab))));
    if (!tokenizer)
      while (ids.size() < longest)
        ids.push_back(static_cast<int32_t>(rng.below(static_cast<uint32_t>(facts.vocab))));
    ids.resize(std::min(ids.size(), longest));
    prompts.push_back(std::move(ids));
  }
  return prompts;
}

std::vector<float> probe_logits(Model& model, std::span<Adapter* const> adapters, Stream& stream,
                                const Prompts& prompts) {
  const AdapterStep step(model, adapters, stream, DType::f32, {},
                         shares_prompt(model, adapters, false, false));
  const int32_t start = step.before() ? static_cast<int32_t>(step.before()->rows()) : 0;
  auto layout = std::make_shared<Layout>();
  auto ids = std::make_shared<std::vector<int32_t>>(), own = std::make_shared<std::vector<int32_t>>();
  for (size_t i = 0; i < prompts.size(); ++i) {
    layout->add_sample(static_cast<int64_t>(prompts[i].size()), static_cast<int32_t>(i), start,
                       step.leading_rows());
    for (size_t left = prompts[i].size(); left > 0; --left)
      own->push_back(layout->bounds.back() - static_cast<int32_t>(left));
    ids->insert(ids->end(), prompts[i].begin(), prompts[i].end());
  }
  Tape tape(stream, DType::f32, layout, false);
  Forward forward{.tape = tape, .before = step.before(), .prompt = step.leading()};
  const Tensor hidden = gather_rows(tape, model.hidden(forward, ids), own).value();
  const auto vocab = static_cast<size_t>(model.facts().vocab);
  std::vector<float> all(own->size() * vocab);
  for_each_logits(model, forward, hidden, [&](int64_t row, std::span<const float> logits) {
    std::copy(logits.begin(), logits.end(), all.begin() + row * static_cast<int64_t>(vocab));
  });
  return all;
}

LogitDifference compare_logits(const std::vector<float>& a, const std::vector<float>& b, int64_t vocab) {
  FT_CHECK(a.size() == b.size() && vocab > 0, "[probe] expected as many logits twice, got {} and {}",
           a.size(), b.size());
  LogitDifference d;
  d.rows = static_cast<int64_t>(a.size()) / vocab;
  for (int64_t r = 0; r < d.rows; ++r) {
    const float *x = a.data() + r * vocab, *y = b.data() + r * vocab;
    d.same_top += std::max_element(x, x + vocab) - x == std::max_element(y, y + vocab) - y;
    for (int64_t i = 0; i < vocab; ++i) {
      const double gap = std::abs(static_cast<double>(x[i]) - y[i]);
      d.largest = std::isfinite(gap) ? std::max(d.largest, gap) : std::numeric_limits<double>::infinity();
      if (std::isfinite(x[i])) d.scale = std::max(d.scale, std::abs(static_cast<double>(x[i])));
    }
  }
  return d;
}

}  // namespace ft
