// The part of an optimizer step (an evaluation, a generation) that belongs to the adapters and is computed
// once, whatever the number of passes. Order: the adapters' prepare(), each on a tape of its own; the model's
// pass over a prompt's rows, whose keys and values the samples share; then the caller's passes; then
// finish(): backward of the shared pass, backward of the adapters' tapes, last first, extra losses.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/nn/adapter.h"

namespace ft {

class AdapterStep {
 public:
  /// `share`: a prompt is computed once and read by all samples (or copied into the cache of a generation);
  /// else it leads each of them: see shares_prompt(). Model and adapters must outlive it. Throws
  /// ft::InputError where two adapters want the same place.
  AdapterStep(Model& model, std::span<Adapter* const> adapters, Stream& stream, DType compute,
              const StepInfo& info, bool share = true);
  ~AdapterStep();

  /// What every sample sees before its own rows; null: nothing.
  const VirtualTokens* before() const { return before_.rows() > 0 ? &before_ : nullptr; }
  /// Leads every sample where it is not shared; else undefined.
  const Var& leading() const { return leading_; }
  int32_t leading_rows() const {
    return leading_.defined() ? static_cast<int32_t>(leading_.value().dim(0)) : 0;
  }

  /// After the last pass's backward. Returns the adapters' own loss terms.
  double finish();

 private:
  struct Pass;
  std::unique_ptr<Pass> begin_pass(LayoutPtr layout) const;
  void share_prompt(Model& model, const Var& prompt);

  std::vector<Adapter*> adapters_;
  Stream stream_;
  DType compute_;
  StepInfo info_;
  VirtualTokens before_;
  Var leading_;
  std::vector<std::unique_ptr<Pass>> passes_;  // in the order of recording
};

/// Those of them that act in passes, for Forward::groups.
AdapterSet adapter_set(std::span<Adapter* const> adapters);
/// Throws ft::InputError where two adapters want the same place before the samples.
void check_places(std::span<Adapter* const> adapters);
/// Is there a prompt that predicts a sample's first token?
bool has_prompt(std::span<Adapter* const> adapters);
/// May the passes of a step read a prompt that was computed once? Not where dropout is to differ from sample
/// to sample, where a sample's first token is a target (its prediction stands at the prompt's end), and
/// behind a prefix: attention reads one part before the samples.
bool shares_prompt(const Model& model, std::span<Adapter* const> adapters, bool training, bool first_target);

}  // namespace ft
