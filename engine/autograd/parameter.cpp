#include "engine/autograd/parameter.h"

namespace ft {
namespace {

// Of a host's tensor with the parameter's shape: on a device, matrices are row-major like everything else.
bool in_panels(const Parameter& p, Device device) {
  return p.layout == Parameter::Layout::packed && device == Device();
}

// Calls f(plain index, stored index) for every element.
template <class F>
void for_each_element(const Parameter& p, bool panels, F&& f) {
  if (!panels) {
    for (int64_t i = 0; i < p.numel(); ++i) f(i, i);
    return;
  }
  const int64_t rows = p.shape[0], cols = p.shape[1];
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t k = 0; k < cols; ++k) f(n * cols + k, packed_index(n, k, cols));
}

template <class T>
double widen(T v) {
  if constexpr (std::is_same_v<T, double>)
    return v;
  else
    return to_float(v);
}
template <class T>
T narrow(float v) {
  if constexpr (std::is_same_v<T, BF16>)
    return to_bf16(v);
  else if constexpr (std::is_same_v<T, F16>)
    return to_f16(v);
  else
    return static_cast<T>(v);
}

template <class F>
void dispatch_storage(DType t, F&& f) {
  switch (t) {
    case DType::f32:
      return f.template operator()<float>();
    case DType::f64:
      return f.template operator()<double>();
    case DType::bf16:
      return f.template operator()<BF16>();
    case DType::f16:
      return f.template operator()<F16>();
    default:
      fail("[parameter] {} cannot store a weight", dtype_name(t));
  }
}

}  // namespace

Parameter Parameter::make(std::string name, Shape shape, Layout layout, DType storage, MemoryClass c,
                          Device device) {
  Parameter p;
  p.name = std::move(name);
  p.shape = shape;
  p.layout = layout;
  FT_CHECK(layout == Layout::plain || shape.rank() == 2, "[parameter] {}: expected a matrix, got {}", p.name,
           shape.str());
  if (in_panels(p, device)) {
    p.value = Tensor::empty({packed_elements(shape[0], shape[1])}, storage, c);
    if (shape[0] % kPanelRows != 0) p.value.zero();
  } else {
    p.value = Tensor::empty(shape, storage, c, device);
  }
  return p;
}

void Parameter::train(DType compute) {
  if (value.dtype() != compute) {
    const std::vector<float> plain = to_plain(*this);
    Parameter wide = make(name, shape, layout, compute, MemoryClass::trainable, value.device());
    from_plain(wide, plain);
    value = wide.value;
  }
  trainable = true;
  if (!grad.defined()) grad = Tensor::zeros(value.shape(), compute, MemoryClass::gradients, value.device());
}

void Parameter::freeze() {
  trainable = false;
  grad = {};
}

void Parameter::to(Device device) {
  if (value.device() == device) return;
  FT_CHECK(value.device() == Device(), "[parameter] {}: expected it on the host", name);
  const std::vector<float> plain = to_plain(*this);
  const MemoryClass memory = trainable ? MemoryClass::trainable : MemoryClass::weights;
  value = Tensor::empty(shape, value.dtype(), memory, device);
  from_plain(*this, plain);
  if (trainable) grad = Tensor::zeros(shape, grad.dtype(), MemoryClass::gradients, device);
}

std::vector<float> to_plain(const Parameter& p) {
  std::vector<float> out(static_cast<size_t>(p.numel()));
  const bool panels = in_panels(p, p.value.device());
  if (panels && p.value.dtype() != DType::f64) {
    unpack_rows(p.packed(), 0, p.shape[0], out.data(), p.shape[1]);
    return out;
  }
  const Tensor host = p.value.to(Device(), MemoryClass::workspace);
  dispatch_storage(host.dtype(), [&]<class T>() {
    const T* v = host.data<T>();
    for_each_element(
        p, panels, [&](int64_t plain, int64_t stored) { out[plain] = static_cast<float>(widen(v[stored])); });
  });
  return out;
}

void from_plain(Parameter& p, std::span<const float> values) {
  FT_CHECK(static_cast<int64_t>(values.size()) == p.numel(), "[parameter] {}: expected {} values, got {}",
           p.name, p.numel(), values.size());
  const Device device = p.value.device();
  const bool panels = in_panels(p, device);
  if (panels && p.value.dtype() != DType::f64) {
    pack_rows(p.value.dtype(), p.shape[0], p.shape[1], p.value.raw(), 0, p.shape[0], values.data(),
              p.shape[1]);
    return;
  }
  const bool away = device != Device();
  const Tensor host =
      away ? Tensor::empty(p.value.shape(), p.value.dtype(), MemoryClass::workspace) : p.value;
  dispatch_storage(host.dtype(), [&]<class T>() {
    T* v = host.data<T>();
    for_each_element(p, panels, [&](int64_t plain, int64_t stored) { v[stored] = narrow<T>(values[plain]); });
  });
  if (away) copy_from_host(device, p.value.raw(), host.raw(), host.bytes());
}

std::vector<double> grad_to_plain(const Parameter& p) {
  std::vector<double> out(static_cast<size_t>(p.numel()));
  const Tensor host = p.grad.to(Device(), MemoryClass::workspace);
  dispatch_compute(host.dtype(), [&]<class T>() {
    const T* v = host.data<T>();
    for_each_element(p, in_panels(p, p.grad.device()),
                     [&](int64_t plain, int64_t stored) { out[plain] = v[stored]; });
  });
  return out;
}

}  // namespace ft
