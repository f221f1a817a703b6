#include "engine/generate/generator.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "engine/generate/cache.h"
#include "engine/generate/device_decoder.h"
#include "engine/generate/ensemble.h"
#include "engine/generate/sampler.h"
#include "engine/ops/head.h"
#include "engine/ops/rows.h"

namespace ft {
namespace {

struct Row {
  size_t index = 0;              // of the prompt
  int32_t slot = 0;              // of the cache
  std::vector<int32_t> ids;      // prompt and new tokens
  int64_t prompt = 0, seen = 0;  // tokens; the model has seen the first `seen`
  const VirtualTokens* before = nullptr;
  int32_t set = -1;    // of Batching::sets
  int64_t budget = 0;  // new tokens
  StopReason at_budget = StopReason::length;

  int64_t fresh() const { return static_cast<int64_t>(ids.size()) - prompt; }
  int64_t virtual_rows() const { return before ? before->rows() : 0; }
  int64_t unseen() const { return static_cast<int64_t>(ids.size()) - seen; }
};

Row open_row(const std::vector<int32_t>& prompt, size_t index, const VirtualTokens* before,
             const GenerationOptions& options, const ModelFacts& facts, const std::string& where) {
  Row row{.index = index, .ids = prompt, .prompt = static_cast<int64_t>(prompt.size()), .before = before};
  std::tie(row.budget, row.at_budget) = token_budget(prompt, row.virtual_rows(), options, facts, where);
  return row;
}

/// A larger cache with the same content, freed layer by layer. One without layers yet gets them.
void grow(KvCache& cache, int64_t capacity, const Model& model, Stream& stream, DType compute) {
  KvCache larger = model.make_cache(cache.rows, capacity, compute);
  for (const auto side : {&KvCache::k, &KvCache::v}) {
    for (size_t layer = 0; layer < (cache.*side).size(); ++layer) {
      Tensor& from = (cache.*side)[layer];
      const Tensor& to = (larger.*side)[layer];
      const int64_t token = from.dim(1);
      launch(stream, compute, [&]<class T>(auto& s) {
        for (int64_t row = 0; row < cache.rows; ++row)
          copy_rows(s, CopyRowsArgs<T>{.count = cache.length[static_cast<size_t>(row)],
                                       .cols = token,
                                       .x = from.data<T>() + row * cache.capacity * token,
                                       .ldx = token,
                                       .y = to.data<T>() + row * capacity * token,
                                       .ldy = token,
                                       .from = {},
                                       .to = {}});
      });
      from = Tensor();
    }
  }
  larger.length = cache.length;
  larger.before = cache.before;
  cache = std::move(larger);
}

class Generation {
 public:
  Generation(Model& model, Stream& stream, DType compute, const GenerationOptions& options,
             const Batching& batching)
      : model_(model), stream_(stream), compute_(compute), options_(options), batching_(batching) {}

  std::vector<Generated> run(std::span<const std::vector<int32_t>> prompts, const OnToken& on_token) {
    std::vector<Row> waiting;
    for (size_t i = 0; i < prompts.size(); ++i) {
      const auto& before = batching_.before;
      waiting.push_back(open_row(prompts[i], i, before.empty() ? nullptr : before[before.size() == 1 ? 0 : i],
                                 options_, model_.facts(),
                                 fmt::format("prompt {}", batching_.first_row + i + 1)));
      if (grouped()) waiting.back().set = batching_.set_of[i];
    }
    for (const Row& row : waiting)
      longest_ = std::max(longest_, row.virtual_rows() + row.prompt + row.budget - 1);
    const auto slots = std::min<int64_t>(batching_.rows, static_cast<int64_t>(waiting.size()));
    for (int64_t slot = slots - 1; slot >= 0; --slot) free_slots_.push_back(static_cast<int32_t>(slot));
    cache_.rows = slots;
    cache_.length.assign(static_cast<size_t>(slots), 0);
    cache_.before.assign(static_cast<size_t>(slots), nullptr);
    results_.resize(prompts.size());
    if (stream_.device() != Device())
      device_.emplace(model_, stream_, compute_, options_, slots, longest_ + 1);

    for (size_t next = 0; next < waiting.size() || !alive_.empty();) {
      for (; next < waiting.size() && !free_slots_.empty(); ++next) admit(std::move(waiting[next]));
      if (!decode(on_token)) pass(on_token);
    }
    return std::move(results_);
  }

 private:
  bool grouped() const { return !batching_.set_of.empty(); }

  void admit(Row row) {
    row.slot = free_slots_.back();
    free_slots_.pop_back();
    cache_.length[static_cast<size_t>(row.slot)] = 0;
    cache_.before[static_cast<size_t>(row.slot)] = row.before;
    if (device_) device_->open(row.slot, row.ids);
    alive_.push_back(std::move(row));
  }

  /// The rows alive, oldest first; where adapters differ, those of one set side by side.
  std::vector<Row*> in_order() {
    std::vector<Row*> rows;
    for (Row& row : alive_) rows.push_back(&row);
    std::stable_sort(rows.begin(), rows.end(), [](const Row* a, const Row* b) { return a->set < b->set; });
    return rows;
  }

  /// Shows the model the next tokens of the rows alive and gives those that it has seen
  /// whole their next token.
  void pass(const OnToken& on_token) {
    auto layout = std::make_shared<Layout>();
    auto ids = std::make_shared<std::vector<int32_t>>();
    auto last = std::make_shared<std::vector<int32_t>>();  // last tokens of texts seen whole
    std::vector<Row*> complete, opened;
    std::vector<int32_t> slots;
    int64_t reach = 0;
    std::vector<TokenGroup> groups;
    for (Row* each : in_order()) {
      Row& row = *each;
      const auto size = static_cast<int64_t>(row.ids.size());
      const int64_t count = std::min(size - row.seen, batching_.tokens - layout->tokens());
      if (count == 0) continue;
      layout->add_sample(count, row.slot, static_cast<int32_t>(row.virtual_rows() + row.seen));
      if (row.seen == 0 && row.before) opened.push_back(&row);
      if (grouped()) {
        const AdapterSet* set = row.set < 0 ? nullptr : &batching_.sets[static_cast<size_t>(row.set)];
        if (groups.empty() || groups.back().set != set)
          groups.push_back({.begin = layout->tokens() - count, .end = 0, .set = set});
        groups.back().end = layout->tokens();
      }
      ids->insert(ids->end(), row.ids.begin() + row.seen, row.ids.begin() + row.seen + count);
      slots.push_back(row.slot);
      row.seen += count;
      reach = std::max(reach, row.virtual_rows() + row.seen);
      if (row.seen < size) continue;
      last->push_back(static_cast<int32_t>(layout->tokens() - 1));
      complete.push_back(&row);
    }
    make_room(reach);

    for (const Row* row : opened) fill_virtual(cache_, row->slot, *row->before, stream_, compute_);
    Tape tape(stream_, compute_, layout, false);
    Forward forward{
        .tape = tape, .cache = &cache_, .cache_rows = std::move(slots), .groups = std::move(groups)};
    const Var hidden = model_.hidden(forward, ids);
    if (complete.empty()) return;
    const std::vector<int32_t> chosen = choose(forward, gather_rows(tape, hidden, last).value(), complete);
    take(complete, chosen, on_token);
  }

  /// On a device, where every row alive has one token that the model has not seen: the pass that is repeated.
  /// False where it is another pass (adapters differ from row to row; virtual tokens differ from layer to
  /// layer: so do the places of keys).
  bool decode(const OnToken& on_token) {
    if (!device_ || grouped() || static_cast<int64_t>(alive_.size()) > batching_.tokens) return false;
    std::vector<Row*> rows;
    int64_t reach = 0;
    for (Row& row : alive_) {
      if (row.unseen() != 1 || row.before) return false;
      rows.push_back(&row);
      reach = std::max<int64_t>(reach, cache_.length[static_cast<size_t>(row.slot)] + 1);
    }
    make_room(reach);
    for (Row* row : rows) ++row->seen;
    take(rows, device_->step(cache_, text_rows(rows)), on_token);
    return true;
  }

  void make_room(int64_t reach) {
    if (reach <= cache_.capacity) return;
    grow(cache_, std::min(longest_, std::max(reach + 64, 2 * reach)), model_, stream_, compute_);
    if (device_) device_->forget();
  }

  std::vector<TextRow> text_rows(const std::vector<Row*>& rows) const {
    std::vector<TextRow> texts;
    for (const Row* row : rows)
      texts.push_back({row->slot, row->ids.back(), static_cast<int32_t>(row->ids.size()),
                       random_key(options_.seed, batching_.first_row + row->index)});
    return texts;
  }

  /// Gives each row its next token; rows that end leave.
  void take(const std::vector<Row*>& rows, const std::vector<int32_t>& chosen, const OnToken& on_token) {
    for (size_t i = 0; i < rows.size(); ++i) append(*rows[i], chosen[i], on_token);
    std::erase_if(alive_, [&](Row& row) {
      if (row.budget > 0) return false;
      free_slots_.push_back(row.slot);
      return true;
    });
  }

  /// The next token of each row, from the hidden states [rows, C] of its last one.
  std::vector<int32_t> choose(Forward& forward, const Tensor& hidden, const std::vector<Row*>& rows) {
    if (device_) return device_->choose(forward, hidden, text_rows(rows));
    std::vector<int32_t> chosen(rows.size());
    for_each_logits(model_, forward, hidden, [&](int64_t i, std::span<const float> logits) {
      const Row& row = *rows[static_cast<size_t>(i)];
      chosen[static_cast<size_t>(i)] = next_token(logits, row.ids, options_, batching_.first_row + row.index);
    });
    return chosen;
  }

  /// Adds a token to a row; a row that ends with it gets its result, and 0 as its budget.
  void append(Row& row, int32_t id, const OnToken& on_token) {
    row.ids.push_back(id);
    const bool go_on = !on_token || on_token(row.index, id);
    Generated& result = results_[row.index];
    if (options_.ends(id))
      result.reason = StopReason::end_token;
    else if (!go_on)
      result.reason = StopReason::stopped;
    else if (row.fresh() >= row.budget)
      result.reason = row.at_budget;
    else
      return;
    row.budget = 0;
    result.ids.assign(row.ids.begin() + row.prompt, row.ids.end());
  }

  Model& model_;
  Stream& stream_;
  DType compute_;
  const GenerationOptions& options_;
  const Batching& batching_;
  int64_t longest_ = 0;  // tokens that a row's cache may come to hold
  KvCache cache_;
  std::optional<DeviceDecoder> device_;  // after the cache: what it recorded goes first
  std::vector<int32_t> free_slots_;
  std::vector<Row> alive_;  // in the order of admission
  std::vector<Generated> results_;
};

}  // namespace

std::string_view describe(StopReason reason) {
  switch (reason) {
    case StopReason::end_token:
      return "end token";
    case StopReason::length:
      return "length limit";
    case StopReason::max_positions:
      return "end of the model's positions";
    case StopReason::stopped:
      return "stop text";
  }
  return "";
}

void check_prompt(std::span<const int32_t> prompt, const GenerationOptions& options, const ModelFacts& facts,
                  const std::string& where) {
  const auto size = static_cast<int64_t>(prompt.size());
  if (size == 0) bad_input("{}: the prompt is empty; give it at least one token", where);
  for (const int32_t id : prompt)
    if (id < 0 || id >= facts.vocab)
      bad_input("{}: the id {} is outside the model's vocabulary of {}", where, id, facts.vocab);
  if (size > facts.max_positions)
    bad_input("{}: the prompt has {} tokens, but the model has positions for {}; shorten it", where, size,
              facts.max_positions);
  if (options.budget(size) < 1)
    bad_input(
        "{}: the prompt has {} tokens, which leaves no room within max_length {}; raise it, or set "
        "max_new_tokens",
        where, size, options.max_length.value_or(0));
}

std::pair<int64_t, StopReason> token_budget(std::span<const int32_t> prompt, int64_t virtual_rows,
                                            const GenerationOptions& options, const ModelFacts& facts,
                                            const std::string& where) {
  check_prompt(prompt, options, facts, where);
  const auto size = static_cast<int64_t>(prompt.size());
  const int64_t wanted = options.budget(size);
  // The last new token needs no position: nothing follows it.
  const int64_t room = facts.max_positions - virtual_rows - size + 1;
  if (room < 1)
    bad_input("{}: with {} virtual tokens before it, its {} tokens leave no position for a new one", where,
              virtual_rows, size);
  return room < wanted ? std::pair(room, StopReason::max_positions) : std::pair(wanted, StopReason::length);
}

std::vector<Generated> generate(Model& model, Stream& stream, DType compute,
                                std::span<const std::vector<int32_t>> prompts,
                                const GenerationOptions& options, const OnToken& on_token,
                                const Batching& batching) {
  FT_CHECK(batching.rows > 0 && batching.tokens > 0,
           "[generate] expected at least one row and token a pass, got {} and {}", batching.rows,
           batching.tokens);
  if (batching.ensemble)
    return generate_ensemble(model, stream, compute, prompts, options, *batching.ensemble, on_token,
                             batching);
  return Generation(model, stream, compute, options, batching).run(prompts, on_token);
}

}  // namespace ft
