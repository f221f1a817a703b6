#include "engine/generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

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

bool by_id(const Candidate& a, const Candidate& b) {
  return a.id < b.id;
}

float highest(std::span<const Candidate> c) {
  return std::max_element(c.begin(), c.end(), [](auto& a, auto& b) { return a.score < b.score; })->score;
}

/// Softmax rounded to float32 at each step, as the processors compare it.
std::vector<float> rounded_softmax(std::span<const Candidate> c) {
  const float most = highest(c);
  std::vector<float> p(c.size());
  double sum = 0;
  for (size_t i = 0; i < c.size(); ++i) sum += p[i] = std::exp(c[i].score - most);
  for (float& x : p) x /= static_cast<float>(sum);
  return p;
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
  const std::vector<float> share = rounded_softmax(c);
  const auto tail = static_cast<float>(1 - p);
  size_t removed = 0;
  double sum = 0;
  for (; removed + 1 < c.size(); ++removed) {
    sum += share[removed];
    if (!(static_cast<float>(sum) <= tail)) break;
  }
  c.erase(c.begin(), c.begin() + static_cast<std::ptrdiff_t>(removed));
  std::sort(c.begin(), c.end(), by_id);
}

/// Nguyen et al. 2024: those at least min_p as likely as the likeliest.
void keep_min_p(std::vector<Candidate>& c, double min_p) {
  const std::vector<float> share = rounded_softmax(c);
  const float least = static_cast<float>(min_p) * *std::max_element(share.begin(), share.end());
  size_t kept = 0;
  for (size_t i = 0; i < c.size(); ++i)
    if (!(share[i] < least)) c[kept++] = c[i];
  c.resize(kept);
}

/// [0, 1) with 53 bits, a function of its arguments alone.
double draw(uint64_t seed, uint64_t row, uint64_t position) {
  const uint64_t key = mix_key(mix_key(seed, hash_name("generate")), row);
  const Philox4 bits =
      philox({static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32), 0, 0}, key);
  return static_cast<double>((uint64_t{bits[0]} << 32 | bits[1]) >> 11) * 0x1p-53;
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
  const double most = highest(c);
  std::vector<double> p(c.size());
  double sum = 0;
  for (size_t i = 0; i < c.size(); ++i) sum += p[i] = std::exp(c[i].score - most);
  for (double& x : p) x /= sum;
  return p;
}

int32_t next_token(std::span<const float> logits, std::span<const int32_t> ids,
                   const GenerationOptions& options, uint64_t row) {
  const std::vector<Candidate> c = process_scores(logits, ids, options);
  if (!options.do_sample)
    return std::max_element(c.begin(), c.end(), [](auto& a, auto& b) { return a.score < b.score; })->id;
  const std::vector<double> p = probabilities(c);
  double left = draw(options.seed, row, ids.size());
  size_t likeliest = 0;
  for (size_t i = 0; i < c.size(); ++i) {
    if (left < p[i]) return c[i].id;
    left -= p[i];
    if (p[i] > p[likeliest]) likeliest = i;
  }
  return c[likeliest].id;  // rounding left a hair over
}

}  // namespace ft
