#include "engine/train/optimizer.h"

#include <cmath>

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
  squares_.resize(parameters_.size());
  if (parameters_.empty()) return;
  type_ = parameters_[0]->value.dtype();
  device_ = parameters_[0]->value.device();
  dispatch_compute(type_, [&]<class T>() { lay_out<T>(); });
}

template <class T>
void OptimizerState::lay_out() {
  std::vector<TrainedTensor<T>> all;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& p = *parameters_[i];
    const auto state = [](const Tensor& t) { return t.defined() ? t.data<T>() : nullptr; };
    all.push_back({.count = p.value.numel(),
                   .w = p.value.data<T>(),
                   .grad = p.grad.data<T>(),
                   .first = state(state_[i].first),
                   .second = state(state_[i].second),
                   .rate = rate_factors_[i],
                   .weight_decay = p.shape.rank() > 1 ? settings_.weight_decay : 0});
  }
  chunks_ = number_chunks(std::span(all));
  const auto count = static_cast<int64_t>(all.size());
  sums_ = Tensor::empty({count}, DType::f64, MemoryClass::optimizer, device_);
  if (device_ != Device()) {
    std::vector<int32_t> owner;
    for (size_t i = 0; i < all.size(); ++i)
      owner.resize(static_cast<size_t>(i + 1 < all.size() ? all[i + 1].chunk : chunks_),
                   static_cast<int32_t>(i));
    const auto bytes = static_cast<int64_t>(all.size() * sizeof(all[0]));
    table_ = Tensor::empty({bytes}, DType::u8, MemoryClass::optimizer, device_);
    owner_ = Tensor::empty({chunks_}, DType::i32, MemoryClass::optimizer, device_);
    copy_from_host(device_, table_.raw(), all.data(), table_.bytes());
    copy_from_host(device_, owner_.raw(), owner.data(), owner_.bytes());
  }
  tensors_ = std::move(all);
}

template <class T>
TrainedTensors<T> OptimizerState::tensors() {
  const auto& host = std::get<std::vector<TrainedTensor<T>>>(tensors_);
  for (size_t i = 0; i < host.size(); ++i)
    if (host[i].w != parameters_[i]->value.raw() || host[i].grad != parameters_[i]->grad.raw()) {
      lay_out<T>();  // somebody gave a parameter other tensors
      break;
    }
  if (!table_.defined()) return {host, nullptr, nullptr, chunks_};
  return {host, static_cast<const TrainedTensor<T>*>(table_.raw()), owner_.data<int32_t>(), chunks_};
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

}  // namespace

double OptimizerState::gradient_norm(Stream& stream, std::vector<HostCopy> also) {
  if (!parameters_.empty()) {
    launch_on_parameters(stream, type_, [&]<class T>(auto& s) {
      square_gradients(s, SquareGradientsArgs<T>{tensors<T>(), sums_.data<double>()});
    });
    also.push_back({squares_.data(), sums_.raw(), sums_.bytes()});
  }
  read_back(stream.device(), also);
  double sum = 0;
  for (const double squares : squares_) sum += squares;
  return std::sqrt(sum);
}

const Parameter* OptimizerState::non_finite() const {
  for (size_t i = 0; i < parameters_.size(); ++i)
    if (!std::isfinite(squares_[i])) return parameters_[i];
  return nullptr;
}

void OptimizerState::step(Stream& stream, double learning_rate, double gradient_scale) {
  ++updates_;
  if (parameters_.empty()) return;
  launch_on_parameters(stream, type_, [&]<class T>(auto& s) {
    if (settings_.optim == OptimizerType::adamw)
      adamw_step(s, AdamWStepArgs<T>{.tensors = tensors<T>(),
                                     .lr = learning_rate,
                                     .beta1 = settings_.adam_beta1,
                                     .beta2 = settings_.adam_beta2,
                                     .eps = settings_.adam_epsilon,
                                     .grad_scale = gradient_scale,
                                     .t = updates_});
    else
      sgd_step(s, SgdStepArgs<T>{.tensors = tensors<T>(),
                                 .lr = learning_rate,
                                 .momentum = settings_.momentum,
                                 .grad_scale = gradient_scale,
                                 .t = updates_});
  });
}

void OptimizerState::clear_gradients(Stream& stream) {
  if (parameters_.empty()) return;
  launch_on_parameters(
      stream, type_, [&]<class T>(auto& s) { ft::clear_gradients(s, ClearGradientsArgs<T>{tensors<T>()}); });
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
