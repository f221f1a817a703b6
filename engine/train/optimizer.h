// AdamW or SGD over a fixed list of parameters. State has the parameters' layout, so it is elementwise
// throughout.
#pragma once

#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/autograd/parameter.h"
#include "engine/config/sections.h"
#include "engine/core/device_read_back.h"
#include "engine/core/stream.h"
#include "engine/io/safetensors_writer.h"
#include "engine/io/weights.h"
#include "engine/nn/adapter.h"
#include "engine/ops/optimizer_step.h"

namespace ft {

class OptimizerState {
 public:
  /// `adapters`: may scale the learning rate of what they train.
  OptimizerState(const TrainingSection& settings, std::vector<Parameter*> parameters,
                 std::span<Adapter* const> adapters = {});

  /// √ Σ g² over all parameters, before clipping; in double, in the order of the list. Waits for the stream,
  /// and takes `also` along: the one wait of a step.
  double gradient_norm(Stream& stream, std::vector<HostCopy> also = {});
  /// Σ g² of each parameter, as gradient_norm() last found it.
  const std::vector<double>& squares() const { return squares_; }
  /// The first parameter whose gradient was not finite then; null if all were.
  const Parameter* non_finite() const;
  /// One update with the gradients times `gradient_scale`; they stay. Weight decay skips biases and norms
  /// (everything of one dimension).
  void step(Stream& stream, double learning_rate, double gradient_scale);
  void clear_gradients(Stream& stream);

  int64_t updates() const { return updates_; }
  const std::vector<Parameter*>& parameters() const { return parameters_; }

  /// State as it lies in memory, "<index>.<name>.exp_avg" and so on.
  std::vector<SafetensorsEntry> entries() const;
  /// The inverse; strict. Throws ft::InputError.
  void load(const WeightSource& file, int64_t updates);

 private:
  struct State {
    Tensor first, second;  // AdamW: m and v; SGD with momentum: the buffer
  };
  // The list as the kernels of the parameters' type T and device take it.
  template <class T>
  TrainedTensors<T> tensors();
  template <class T>
  void lay_out();
  std::string key(size_t i, const char* which) const;
  const TrainingSection& settings_;
  std::vector<Parameter*> parameters_;
  std::vector<double> rate_factors_;  // of the learning rate, one a parameter
  std::vector<State> state_;
  std::vector<double> squares_;
  DType type_ = DType::f32;  // of all of them
  Device device_;
  std::variant<std::vector<TrainedTensor<float>>, std::vector<TrainedTensor<double>>> tensors_;
  int64_t chunks_ = 0;
  Tensor table_, owner_, sums_;  // on the device: copies of tensors_ and of each chunk's tensor; Σ g² of each
  int64_t updates_ = 0;
};

}  // namespace ft
