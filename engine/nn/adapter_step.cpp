#include "engine/nn/adapter_step.h"

#include <algorithm>

namespace ft {

struct AdapterStep::Pass {
  Tape tape;
  Forward forward;
  Pass(const Stream& stream, DType compute, LayoutPtr layout, const StepInfo& info)
      : tape(stream, compute, std::move(layout), info.training),
        forward{.tape = tape, .training = info.training, .dropout_key = info.dropout_key} {}
};

AdapterStep::AdapterStep(Model& model, std::span<Adapter* const> adapters, Stream& stream, DType compute,
                         const StepInfo& info, bool share)
    : stream_(stream), compute_(compute), info_(info) {
  check_places(adapters);
  Var prompt;
  for (Adapter* a : adapters) {
    if (!a->active()) continue;
    adapters_.push_back(a);
    auto layout = std::make_shared<Layout>();
    if (a->step_rows() > 0) layout->add_sample(a->step_rows(), 0);
    passes_.push_back(begin_pass(layout));
    VirtualParts parts;
    a->prepare(passes_.back()->forward, parts);
    if (parts.prompt.defined()) prompt = parts.prompt;
    if (parts.prefix.rows > 0) before_.prefix = std::move(parts.prefix);
  }
  if (!prompt.defined()) return;
  if (share)
    share_prompt(model, prompt);
  else
    leading_ = prompt;
}

AdapterStep::~AdapterStep() = default;

std::unique_ptr<AdapterStep::Pass> AdapterStep::begin_pass(LayoutPtr layout) const {
  return std::make_unique<Pass>(stream_, compute_, std::move(layout), info_);
}

void AdapterStep::share_prompt(Model& model, const Var& prompt) {
  const auto rows = static_cast<int32_t>(prompt.value().dim(0));
  auto layout = std::make_shared<Layout>();
  layout->add_sample(0, 0, static_cast<int32_t>(before_.prefix.rows), rows);
  passes_.push_back(begin_pass(layout));
  Forward& f = passes_.back()->forward;
  const VirtualTokens prefix{.prefix = before_.prefix, .prompt = {}};
  f.before = prefix.rows() > 0 ? &prefix : nullptr;
  f.prompt = prompt;
  f.collect = &before_.prompt.kv;
  model.hidden(f, std::make_shared<const std::vector<int32_t>>());
  f.before = nullptr;
  f.collect = nullptr;
  before_.prompt.rows = rows;
}

double AdapterStep::finish() {
  while (!passes_.empty()) {
    passes_.back()->tape.backward();
    passes_.pop_back();
  }
  double extra = 0;
  for (Adapter* a : adapters_) extra += a->extra_loss(stream_, info_);
  return extra;
}

AdapterSet adapter_set(std::span<Adapter* const> adapters) {
  AdapterSet set;
  for (const Adapter* a : adapters) {
    if (const auto* linear = dynamic_cast<const LinearAdapter*>(a)) set.linear.push_back(linear);
    if (const auto* block = dynamic_cast<const BlockAdapter*>(a)) set.block.push_back(block);
  }
  return set;
}

void check_places(std::span<Adapter* const> adapters) {
  int prompts = 0, prefixes = 0;
  for (const Adapter* a : adapters) {
    prompts += a->active() && a->prompt_rows() > 0;
    prefixes += a->active() && a->prefix_rows() > 0;
  }
  if (prompts > 1) bad_input("adapter: two prompts at once; take one of the prompt methods out");
  if (prefixes > 1) bad_input("adapter: two prefixes at once; take one of them out");
}

bool has_prompt(std::span<Adapter* const> adapters) {
  return std::any_of(adapters.begin(), adapters.end(),
                     [](Adapter* a) { return a->active() && a->prompt_rows() > 0; });
}

bool shares_prompt(const Model& model, std::span<Adapter* const> adapters, bool training, bool first_target) {
  const auto any = [&](auto&& of) {
    return std::any_of(adapters.begin(), adapters.end(),
                       [&](const Adapter* a) { return a->active() && of(*a); });
  };
  if (!has_prompt(adapters)) return true;
  const bool drops =
      training && (model.facts().dropout || any([](const Adapter& a) { return a.has_dropout(); }));
  return !drops && !first_target && !any([](const Adapter& a) { return a.prefix_rows() > 0; });
}

}  // namespace ft
