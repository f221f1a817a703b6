// A named weight: frozen (any storage type, no gradient) or trainable (compute type, with a gradient).
// Matrices live in the layout that their device multiplies in (the CPU: panels, see engine/ops/matmul.h;
// CUDA: row-major) in every state, so there is one copy of a weight, whether it is read forward, read
// backward, looked up as an embedding or trained; vectors are plain.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/core/tensor.h"
#include "engine/ops/matmul.h"

namespace ft {

struct Parameter {
  enum class Layout : uint8_t {
    plain,   // as its shape says, row-major
    packed,  // [rows, cols] as the device multiplies it
  };

  std::string name;  // Hugging Face's name, e.g. "model.layers.0.mlp.up_proj.weight"
  Shape shape;       // logical; a packed one has rank 2: [out, in]
  Layout layout = Layout::plain;
  Tensor value;
  bool trainable = false;
  Tensor grad;  // compute type and layout of value; defined while trainable

  static Parameter make(std::string name, Shape shape, Layout layout, DType storage,
                        MemoryClass c = MemoryClass::weights, Device device = {});

  int64_t numel() const { return shape.numel(); }
  PackedView packed() const {
    FT_CHECK(layout == Layout::packed, "[parameter] {}: expected a packed matrix", name);
    return {value.dtype(), shape[0], shape[1], value.raw()};
  }
  /// Marks it trainable: the value is widened to `compute` and a zero gradient is made.
  void train(DType compute);
  /// Frees the gradient and freezes.
  void freeze();
  /// Moves value and gradient into the memory and layout of a device.
  void to(Device device);
};

/// Reads the whole parameter as plain row-major float32, [shape]; from any layout and storage.
std::vector<float> to_plain(const Parameter& p);
/// Writes plain row-major float32 values into the parameter (rounded to its storage type).
void from_plain(Parameter& p, std::span<const float> values);
/// The gradient as plain row-major values (float64 so that no compute type loses bits).
std::vector<double> grad_to_plain(const Parameter& p);

}  // namespace ft
