#include "engine/generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "engine/core/check.h"
#include "engine/core/rng.h"

namespace ft {
namespace {

using Float = std::numeric_limits<float>;

/// Settings and scores of any size stay numbers that softmax can take.
float divisor(double setting) {
  return static_cast<float>(std::clamp<double>(setting, Float::min(), Float::max()));
}
float bounded(float score) {
  return std::clamp(score, Float::lowest(), Float::max());
}

/// Of the probability, what top_p lets go; of the likeliest token's weight, what min_p asks for.
float tail_of(double top_p) {
  return static_cast<float>(1 - top_p);
}
uint64_t least_weight(double min_p) {
  return static_cast<uint64_t>(std::ceil(static_cast<double>(static_cast<float>(min_p)) * 0x1p40));
}

bool by_id(const Candidate& a, const Candidate& b) {
  return a.id < b.id;
}

float highest(std::span<const Candidate> c) {
  return std::max_element(c.begin(), c.end(), [](auto& a, auto& b) { return a.score < b.score; })->score;
}

/// Each candidate's weight beside the likeliest's.
std::vector<uint64_t> weights(std::span<const Candidate> c) {
  const float most = highest(c);
  std::vector<uint64_t> w(c.size());
  for (size_t i = 0; i < c.size(); ++i) w[i] = sampling_weight(c[i].score - most);
  return w;
}

uint64_t sum(const std::vector<uint64_t>& w) {
  return std::accumulate(w.begin(), w.end(), uint64_t{0});
}

/// Keskar et al. 2019 (CTRL), section 4.1. Reads the logits and writes the scores, so an id that occurs twice
/// is punished once.
void penalise(std::span<const float> logits, std::span<const int32_t> ids, double penalty,
              std::vector<Candidate>& c) {
  const float p = divisor(penalty);
  for (const int32_t id : ids) {
    if (id < 0 || static_cast<size_t>(id) >= logits.size()) continue;
    const auto i = static_cast<size_t>(id);
    c[i].score = bounded(logits[i] < 0 ? logits[i] * p : logits[i] / p);
  }
}

/// Those at least as high as the k-th highest: several that share its score all stay.
void keep_top_k(std::vector<Candidate>& c, int64_t k) {
  if (k <= 0 || static_cast<size_t>(k) >= c.size()) return;
  std::vector<float> scores;
  scores.reserve(c.size());
  for (const Candidate& x : c) scores.push_back(x.score);
  std::nth_element(scores.begin(), scores.begin() + (k - 1), scores.end(), std::greater<>());
  const float least = scores[static_cast<size_t>(k - 1)];
  std::erase_if(c, [&](const Candidate& x) { return x.score < least; });
}

/// Holtzman et al. 2020, nucleus sampling: from below, tokens go as long as their probabilities sum to at
/// most 1 − p; the highest always stays.
void keep_top_p(std::vector<Candidate>& c, double p) {
  std::sort(c.begin(), c.end(), [](const Candidate& a, const Candidate& b) {
    return a.score < b.score || (a.score == b.score && a.id > b.id);
  });
  const std::vector<uint64_t> w = weights(c);
  const auto tail = static_cast<uint64_t>(static_cast<double>(tail_of(p)) * static_cast<double>(sum(w)));
  size_t removed = 0;
  for (uint64_t below = w[0]; removed + 1 < c.size() && below <= tail; below += w[removed]) ++removed;
  c.erase(c.begin(), c.begin() + static_cast<std::ptrdiff_t>(removed));
  std::sort(c.begin(), c.end(), by_id);
}

/// Nguyen et al. 2024: those at least min_p as likely as the likeliest.
void keep_min_p(std::vector<Candidate>& c, double min_p) {
  const std::vector<uint64_t> w = weights(c);
  const uint64_t least = least_weight(min_p);
  size_t kept = 0;
  for (size_t i = 0; i < c.size(); ++i)
    if (w[i] >= least) c[kept++] = c[i];
  c.resize(kept);
}

/// 53 random bits, a function of the arguments alone.
uint64_t draw(uint64_t key, uint64_t position) {
  const Philox4 bits =
      philox({static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32), 0, 0}, key);
  return (uint64_t{bits[0]} << 32 | bits[1]) >> 11;
}

}  // namespace

std::vector<Candidate> process_scores(std::span<const float> logits, std::span<const int32_t> ids,
                                      const GenerationOptions& o) {
  std::vector<Candidate> c(logits.size());
  bool any = false;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!(logits[i] <= Float::max()))
      fail("the model's output is not finite (token {}: {}); its weights are broken", i, logits[i]);
    any |= std::isfinite(logits[i]);
    c[i] = {static_cast<int32_t>(i), logits[i]};
  }
  if (!any) fail("the model's output has no finite logit; its weights are broken");
  if (o.repetition_penalty != 1) penalise(logits, ids, o.repetition_penalty, c);
  if (!o.do_sample) return c;
  if (o.temperature != 1)
    for (Candidate& x : c) x.score = bounded(x.score / divisor(o.temperature));
  keep_top_k(c, o.top_k);
  if (o.top_p < 1) keep_top_p(c, o.top_p);
  if (o.min_p > 0) keep_min_p(c, o.min_p);
  return c;
}

std::vector<double> probabilities(std::span<const Candidate> c) {
  const std::vector<uint64_t> w = weights(c);
  const auto total = static_cast<double>(sum(w));
  std::vector<double> p;
  for (const uint64_t x : w) p.push_back(static_cast<double>(x) / total);
  return p;
}

uint64_t random_key(uint64_t seed, uint64_t row) {
  return mix_key(mix_key(seed, hash_name("generate")), row);
}

SamplingRule sampling_rule(const GenerationOptions& o) {
  return {.sample = o.do_sample,
          .penalty = o.repetition_penalty == 1 ? 1 : divisor(o.repetition_penalty),
          .temperature = o.temperature == 1 ? 1 : divisor(o.temperature),
          .top_k = o.top_k,
          .tail = o.top_p < 1 ? tail_of(o.top_p) : 0,
          .least_weight = o.min_p > 0 ? least_weight(o.min_p) : 0};
}

int32_t next_token(std::span<const float> logits, std::span<const int32_t> ids,
                   const GenerationOptions& options, uint64_t row) {
  const std::vector<Candidate> c = process_scores(logits, ids, options);
  if (!options.do_sample)
    return std::max_element(c.begin(), c.end(), [](auto& a, auto& b) { return a.score < b.score; })->id;
  const std::vector<uint64_t> w = weights(c);
  const uint64_t drawn = draw(random_key(options.seed, row), ids.size());
  auto left = static_cast<uint64_t>(static_cast<unsigned __int128>(drawn) * sum(w) >> 53);
  size_t i = 0;
  for (; left >= w[i]; ++i) left -= w[i];
  return c[i].id;
}

}  // namespace ft
