// The rows of one pass, end to end, and what its loss needs.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/autograd/layout.h"
#include "engine/data/dataset.h"
#include "engine/nn/adapter_step.h"

namespace ft {

/// Shared arrays are those that closures of the pass's backward hold too.
struct Batch {
  std::shared_ptr<Layout> layout = std::make_shared<Layout>();
  std::shared_ptr<std::vector<int32_t>> ids = std::make_shared<std::vector<int32_t>>();
  // For each target the position that predicts it: the one before it.
  std::shared_ptr<std::vector<int32_t>> predicting = std::make_shared<std::vector<int32_t>>();
  std::vector<int32_t> targets, target_row, target_position, target_bounds = {0};

  int32_t samples() const { return layout->samples(); }
  /// All arrays that kernels read, in one order. Those of another batch of the same shape have the same
  /// sizes.
  std::vector<const std::vector<int32_t>*> arrays() const;
  /// Do passes over both queue the same kernels with the same arguments? Then only ids, targets and the names
  /// of the rows differ.
  bool same_shape(const Batch& other) const;
};

/// `first_row` names the first of them in the optimizer step. `adapters` may be null.
Batch lay_out(std::span<const DataRow* const> rows, int32_t first_row, const AdapterStep* adapters);

}  // namespace ft
