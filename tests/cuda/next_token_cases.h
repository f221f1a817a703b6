// Settings under which a token is chosen, logits to choose from, and the device's choice.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <vector>

#include "engine/generate/sampler.h"
#include "tests/cuda/bf16.h"
#include "tests/cuda/device_vector.h"

namespace ft::test {

struct ChoiceCase {
  std::string name;
  double temperature = 1;
  int64_t top_k = 0;
  double top_p = 1, min_p = 0, penalty = 1;
  bool sample = true;

  GenerationOptions options() const {
    GenerationOptions o;
    o.do_sample = sample;
    o.temperature = temperature;
    o.top_k = top_k;
    o.top_p = top_p;
    o.min_p = min_p;
    o.repetition_penalty = penalty;
    return o;
  }
};

inline const ChoiceCase choice_cases[] = {
    {.name = "greedy", .sample = false},
    {.name = "greedy_penalty", .penalty = 1.7, .sample = false},
    {.name = "plain"},
    {.name = "temperature", .temperature = 0.6},
    {.name = "hot", .temperature = 30},
    {.name = "top_k", .top_k = 7},
    {.name = "top_k_one", .top_k = 1},
    {.name = "top_k_all", .top_k = 100000},
    {.name = "top_p", .top_p = 0.7},
    {.name = "top_p_zero", .top_p = 0},
    {.name = "top_p_nearly_all", .top_p = 0.999},
    {.name = "min_p", .min_p = 0.2},
    {.name = "min_p_one", .min_p = 1},
    {.name = "all", .temperature = 0.8, .top_k = 50, .top_p = 0.9, .min_p = 0.05, .penalty = 1.3},
    {.name = "cold", .temperature = 1e-6, .top_p = 0.5, .penalty = 0.5},
};

/// Rows of `vocab` logits: normal ones, ties, one token far above, few finite ones; the length of each row's
/// text.
template <class T>
struct ChoiceLogits {
  std::vector<std::vector<float>> rows;
  std::vector<std::vector<int32_t>> texts;

  explicit ChoiceLogits(int64_t vocab) {
    const auto normal = random_inputs<T>(vocab, "logits", 3);
    rows = {
        normal, random_inputs<T>(vocab, "more", 0.5), std::vector<float>(normal.size(), 2), normal, normal,
        normal};
    for (size_t i = 0; i < normal.size(); ++i) {
      rows[3][i] = std::round(normal[i] * 0.5f);  // many ties, −0 among them
      if (i % 5 != 0) rows[4][i] = -INFINITY;
      rows[5][i] = -std::fabs(normal[i]);
    }
    rows[1][static_cast<size_t>(vocab / 2)] = 40;
    for (size_t r = 0; r < rows.size(); ++r) {
      std::vector<int32_t> text;
      for (size_t i = 0; i < 3 + 5 * r; ++i)
        text.push_back(static_cast<int32_t>((i * i * 7 + r) % static_cast<size_t>(vocab + 2)) -
                       1);  // foreign ids too
      texts.push_back(text);
    }
  }
};

/// The CPU's choice for each row.
template <class T>
std::vector<int32_t> choices_on_cpu(const ChoiceLogits<T>& l, const GenerationOptions& o) {
  std::vector<int32_t> ids;
  for (size_t r = 0; r < l.rows.size(); ++r) ids.push_back(next_token(l.rows[r], l.texts[r], o, r));
  return ids;
}

/// What the device chooses for each row; rows' slots in the history are in another order.
template <class T>
std::vector<int32_t> choices_on_device(const ChoiceLogits<T>& l, const GenerationOptions& o,
                                       std::vector<int32_t>* history = nullptr) {
  const auto count = static_cast<int64_t>(l.rows.size()), vocab = static_cast<int64_t>(l.rows[0].size());
  constexpr int64_t kLongest = 40;
  std::vector<float> logits;
  std::vector<int32_t> length, key, slot, texts(static_cast<size_t>(count * kLongest), -7);
  for (int64_t r = 0; r < count; ++r) {
    const auto at = static_cast<size_t>(r);
    logits.insert(logits.end(), l.rows[at].begin(), l.rows[at].end());
    length.push_back(static_cast<int32_t>(l.texts[at].size()));
    const uint64_t k = random_key(o.seed, static_cast<uint64_t>(r));
    key.push_back(static_cast<int32_t>(k));
    key.push_back(static_cast<int32_t>(k >> 32));
    slot.push_back(static_cast<int32_t>((r + 2) % count));
    std::copy(l.texts[at].begin(), l.texts[at].end(), texts.begin() + slot.back() * kLongest);
  }
  const DeviceVector<T> device_logits(as_type<T>(logits));
  const DeviceIndex lengths(length), keys(key), slots(slot);
  DeviceVector<int32_t> text(texts), chosen(std::vector<int32_t>(l.rows.size(), -99));
  next_token(cuda_stream(),
             NextTokenArgs<T>{count, vocab, device_logits.data(), sampling_rule(o), lengths.view(),
                              keys.view(), o.repetition_penalty != 1 ? text.data() : nullptr, kLongest,
                              slots.view(), chosen.data()});
  if (history) *history = text.host();
  return chosen.host();
}

}  // namespace ft::test
