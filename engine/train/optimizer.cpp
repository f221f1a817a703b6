#include "engine/train/optimizer.h"

#include <cmath>

#include "engine/ops/optimizer.h"

namespace ft {

OptimizerState::OptimizerState(const TrainingSection& settings, std::vector<Parameter*> parameters,
                               std::span<Adapter* const> adapters)
    : settings_(settings), parameters_(std::move(parameters)) {
  const bool adamw = settings.optim == OptimizerType::adamw;
  for (const Parameter* p : parameters_) {
    double factor = 1;
    for (const Adapter* a : adapters) factor *= a->learning_rate_factor(*p);
    rate_factors_.push_back(factor);
    State s;
    if (adamw || settings.momentum > 0)
      s.first = Tensor::zeros(p->value.shape(), p->value.dtype(), MemoryClass::optimizer, p->value.device());
    if (adamw)
      s.second = Tensor::zeros(p->value.shape(), p->value.dtype(), MemoryClass::optimizer, p->value.device());
    state_.push_back(std::move(s));
  }
}

namespace {

// A tensor of the optimizer, laid out like the parameter that it belongs to.
Parameter state_of(const Parameter& p, const Tensor& t) {
  Parameter state;
  state.name = p.name;
  state.shape = p.shape;
  state.layout = p.layout;
  state.value = t;
  return state;
}

double squares(Stream& stream, const Tensor& g) {
  const Tensor sum = Tensor::empty({1}, DType::f64, MemoryClass::workspace, g.device());
  launch_on_parameters(stream, g.dtype(), [&]<class T>(auto& s) {
    sum_squares(s, SumSquaresArgs<T>{.count = g.numel(), .x = g.data<T>(), .out = sum.data<double>()});
  });
  return sum.to_vector<double>()[0];
}

}  // namespace

double OptimizerState::gradient_norm(Stream& stream) const {
  double sum = 0;
  for (const Parameter* p : parameters_) sum += squares(stream, p->grad);
  return std::sqrt(sum);
}

const Parameter* OptimizerState::non_finite(Stream& stream) const {
  for (const Parameter* p : parameters_)
    if (!std::isfinite(squares(stream, p->grad))) return p;
  return nullptr;
}

void OptimizerState::step(Stream& stream, double learning_rate, double gradient_scale) {
  ++updates_;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Parameter& p = *parameters_[i];
    const State& state = state_[i];
    const double rate = learning_rate * rate_factors_[i];
    const double decay = p.shape.rank() > 1 ? settings_.weight_decay : 0;
    launch_on_parameters(stream, p.value.dtype(), [&]<class T>(auto& s) {
      if (settings_.optim == OptimizerType::adamw)
        adamw(s, AdamWArgs<T>{.count = p.value.numel(),
                              .w = p.value.data<T>(),
                              .grad = p.grad.data<T>(),
                              .m = state.first.data<T>(),
                              .v = state.second.data<T>(),
                              .lr = rate,
                              .beta1 = settings_.adam_beta1,
                              .beta2 = settings_.adam_beta2,
                              .eps = settings_.adam_epsilon,
                              .weight_decay = decay,
                              .grad_scale = gradient_scale,
                              .t = updates_});
      else
        sgd(s, SgdArgs<T>{.count = p.value.numel(),
                          .w = p.value.data<T>(),
                          .grad = p.grad.data<T>(),
                          .buf = state.first.defined() ? state.first.data<T>() : nullptr,
                          .lr = rate,
                          .momentum = settings_.momentum,
                          .weight_decay = decay,
                          .grad_scale = gradient_scale,
                          .t = updates_});
    });
  }
}

void OptimizerState::clear_gradients() {
  for (Parameter* p : parameters_) p->grad.zero();
}

std::string OptimizerState::key(size_t i, const char* which) const {
  return fmt::format("{:05d}.{}.{}", i, parameters_[i]->name, which);
}

std::vector<SafetensorsEntry> OptimizerState::entries() const {
  std::vector<SafetensorsEntry> all;
  const auto add = [&](size_t i, const char* which, const Tensor& t) {
    if (!t.defined()) return;
    const Parameter& p = *parameters_[i];
    // In the parameter's own order of elements: another device lays matrices out differently.
    all.push_back({key(i, which), "F32", {p.numel()}, [&p, t](const ByteSink& sink) {
                     const std::vector<float> plain = to_plain(state_of(p, t));
                     sink(plain.data(), plain.size() * sizeof(float));
                   }});
  };
  for (size_t i = 0; i < state_.size(); ++i) {
    add(i, "exp_avg", state_[i].first);
    add(i, "exp_avg_sq", state_[i].second);
  }
  return all;
}

void OptimizerState::load(const WeightSource& file, int64_t updates) {
  size_t used = 0;
  const auto read = [&](size_t i, const char* which, const Tensor& t) {
    if (!t.defined()) return;
    const TensorInfo* info = file.find(key(i, which));
    if (!info || element_count(*info) != parameters_[i]->numel())
      bad_input("{}: no optimizer state for {}; the checkpoint belongs to another run", file.path(),
                parameters_[i]->name);
    std::vector<float> plain(static_cast<size_t>(parameters_[i]->numel()));
    file.read_all(*info, plain.data());
    Parameter state = state_of(*parameters_[i], t);
    from_plain(state, plain);
    ++used;
  };
  for (size_t i = 0; i < state_.size(); ++i) {
    read(i, "exp_avg", state_[i].first);
    read(i, "exp_avg_sq", state_[i].second);
  }
  if (used != file.tensors().size())
    bad_input("{}: holds {} tensors, this run has {}; the checkpoint belongs to another run", file.path(),
              file.tensors().size(), used);
  updates_ = updates;
}

}  // namespace ft
