// Is the backward the derivative of the forward? For each trained tensor W a random direction U of W's own
// size: the backward's ⟨dL/dW, U⟩ beside the central difference (L(W + hU) − L(W − hU)) / 2h. The difference
// is taken in double, at step sizes that are chosen by how well two of them agree with each other (never by
// the backward's answer), and extrapolated from these two (Richardson), so that its own error is far below
// that of the backward in question.
//
// Costs four to eight forwards a tensor. Dropout stays on: its draws are a function of the key.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/data/dataset.h"
#include "engine/nn/model.h"
#include "engine/train/pass.h"

namespace ft {

/// What is differentiated: the mean loss of a few rows.
struct GradientSubject {
  Model& model;
  std::span<Adapter* const> adapters;
  std::vector<Parameter*> trainables;
  std::vector<const DataRow*> rows;
  Stream& stream;
  DType compute = DType::f64;
  bool recompute = false;
  uint64_t dropout_key = 0;
};

struct Derivative {
  std::string name;
  Shape shape;
  double value = 0;   // the central difference
  double spread = 0;  // what two step sizes differ by
  double step = 0;    // the smaller of them
  double floor = 0;   // below that it is rounding
};

/// ⟨dL/dW, U⟩, and ‖dL/dW‖ · (size of U's elements): what a direction gives on average.
struct Projection {
  double value = 0, scale = 0;
};

/// Methods start where part of their gradients is zero by construction (LoRA's B). Tensors that are zero
/// throughout get small values drawn by name: the same on every device and in every type.
void leave_start(const std::vector<Parameter*>& trainables);

/// The loss, without any backward.
double loss_of(GradientSubject& subject);

/// One Derivative for each trained tensor. `subject` is in double on the CPU; `progress` is called after
/// each.
std::vector<Derivative> central_differences(GradientSubject& subject, const std::vector<Projection>& backward,
                                            const std::function<void(size_t done)>& progress = {});

/// What the backward says along the same directions, in the subject's type and on its device.
std::vector<Projection> backward_projections(GradientSubject& subject);

/// What `p` is off by, relative to the largest of both values and p's scale.
double relative_error(const Derivative& d, const Projection& p);
/// Is that within `limit`, or no more than rounding?
bool agree(const Derivative& d, const Projection& p, double limit);

}  // namespace ft
