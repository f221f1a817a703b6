#include "engine/generate/ensemble.h"

#include <algorithm>
#include <cmath>

#include "engine/generate/cache.h"
#include "engine/generate/sampler.h"
#include "engine/ops/head.h"

namespace ft {
namespace {

/// One prompt and all its members, which read in step.
class Together {
 public:
  Together(Model& model, Stream& stream, DType compute, std::span<const VirtualTokens* const> members,
           int64_t capacity)
      : model_(model),
        stream_(stream),
        compute_(compute),
        cache_(model.make_cache(static_cast<int64_t>(members.size()), capacity, compute)) {
    cache_.before.assign(members.begin(), members.end());
    for (size_t m = 0; m < members.size(); ++m)
      if (members[m]) fill_virtual(cache_, static_cast<int32_t>(m), *members[m], stream, compute);
  }

  /// All members read `ids`; one row of logits each of what follows.
  std::vector<std::vector<float>> read(std::span<const int32_t> ids) {
    const auto members = static_cast<size_t>(cache_.rows);
    auto layout = std::make_shared<Layout>();
    auto all = std::make_shared<std::vector<int32_t>>();
    auto last = std::make_shared<std::vector<int32_t>>();
    std::vector<int32_t> rows;
    for (size_t m = 0; m < members; ++m) {
      layout->add_sample(static_cast<int64_t>(ids.size()), static_cast<int32_t>(m), cache_.length[m]);
      all->insert(all->end(), ids.begin(), ids.end());
      last->push_back(static_cast<int32_t>(layout->tokens() - 1));
      rows.push_back(static_cast<int32_t>(m));
    }
    Tape tape(stream_, compute_, layout, false);
    Forward forward{.tape = tape, .cache = &cache_, .cache_rows = std::move(rows)};
    const Tensor hidden = gather_rows(tape, model_.hidden(forward, all), last).value();
    std::vector<std::vector<float>> logits(members);
    for_each_logits(model_, forward, hidden, [&](int64_t m, std::span<const float> row) {
      logits[static_cast<size_t>(m)].assign(row.begin(), row.end());
    });
    return logits;
  }

 private:
  Model& model_;
  Stream& stream_;
  DType compute_;
  KvCache cache_;
};

}  // namespace

int32_t combined_token(std::span<const std::vector<float>> logits, std::span<const int32_t> ids,
                       const GenerationOptions& options, Combine how, uint64_t row) {
  const size_t members = logits.size(), vocab = logits[0].size();
  std::vector<double> mean(vocab), votes(vocab);
  for (size_t m = 0; m < members; ++m) {
    const std::vector<Candidate> candidates = process_scores(logits[m], ids, options);
    const std::vector<double> p = probabilities(candidates);
    for (size_t i = 0; i < p.size(); ++i)
      mean[static_cast<size_t>(candidates[i].id)] += p[i] / static_cast<double>(members);
    if (how == Combine::vote)
      votes[static_cast<size_t>(next_token(logits[m], ids, options, row * members + m))] += 1;
  }
  if (how == Combine::vote) {
    size_t best = 0;
    for (size_t v = 1; v < vocab; ++v)
      if (votes[v] > votes[best] || (votes[v] == votes[best] && mean[v] > mean[best])) best = v;
    return static_cast<int32_t>(best);
  }
  std::vector<float> scores(vocab);
  for (size_t v = 0; v < vocab; ++v) scores[v] = static_cast<float>(std::log(mean[v]));
  // The filters have had their say, member by member.
  GenerationOptions plain;
  plain.do_sample = options.do_sample;
  plain.top_k = 0;
  plain.seed = options.seed;
  return next_token(scores, ids, plain, row);
}

std::vector<Generated> generate_ensemble(Model& model, Stream& stream, DType compute,
                                         std::span<const std::vector<int32_t>> prompts,
                                         const GenerationOptions& options, Combine how,
                                         const OnToken& on_token, const Batching& batching) {
  FT_CHECK(!batching.before.empty(), "[ensemble] expected at least one member, got {}", 0);
  int64_t virtual_rows = 0;
  for (const VirtualTokens* v : batching.before)
    virtual_rows = std::max(virtual_rows, v ? v->rows() : int64_t{0});
  const size_t chunk = std::max<size_t>(1, static_cast<size_t>(batching.tokens) / batching.before.size());
  std::vector<Generated> results;
  for (size_t index = 0; index < prompts.size(); ++index) {
    std::vector<int32_t> ids = prompts[index];
    const uint64_t row = batching.first_row + index;
    const auto [budget, at_budget] =
        token_budget(ids, virtual_rows, options, model.facts(), fmt::format("prompt {}", row + 1));
    Together members(model, stream, compute, batching.before,
                     virtual_rows + static_cast<int64_t>(ids.size()) + budget);
    Generated result{.ids = {}, .reason = at_budget};
    std::vector<std::vector<float>> logits;
    for (size_t seen = 0; seen < ids.size(); seen += chunk)
      logits = members.read(std::span(ids).subspan(seen, std::min(chunk, ids.size() - seen)));
    for (;;) {
      const int32_t id = combined_token(logits, ids, options, how, row);
      ids.push_back(id);
      result.ids.push_back(id);
      const bool go_on = !on_token || on_token(index, id);
      if (options.ends(id))
        result.reason = StopReason::end_token;
      else if (!go_on)
        result.reason = StopReason::stopped;
      else if (static_cast<int64_t>(result.ids.size()) < budget) {
        logits = members.read(std::span(&id, 1));
        continue;
      }
      break;
    }
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace ft
