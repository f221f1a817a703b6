#include "models/rope_table.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "engine/ops/rows.h"

namespace ft {
namespace {

std::vector<float> powers(double theta, int64_t head_dim) {
  std::vector<float> f(static_cast<size_t>(head_dim / 2));
  for (size_t i = 0; i < f.size(); ++i)
    f[i] = static_cast<float>(1.0 /
                              std::pow(theta, 2.0 * static_cast<double>(i) / static_cast<double>(head_dim)));
  return f;
}

}  // namespace

RopeTable::RopeTable(RopeConfig config, int64_t head_dim) : config_(std::move(config)), head_dim_(head_dim) {
  base_frequencies_ = powers(config_.theta, head_dim_);
  for (size_t i = 0; i < base_frequencies_.size(); ++i) {
    float& f = base_frequencies_[i];
    if (!config_.frequency_divisors.empty()) f /= config_.frequency_divisors[i];
    if (config_.type == RopeConfig::Type::linear) f = static_cast<float>(f / config_.factor);
    if (config_.type == RopeConfig::Type::llama3) {
      const auto original = static_cast<double>(config_.original_max_positions);
      const double wavelength = 2 * std::numbers::pi / f;
      if (wavelength > original / config_.low_freq_factor) {
        f = static_cast<float>(f / config_.factor);
      } else if (wavelength >= original / config_.high_freq_factor) {
        const double smooth = (original / wavelength - config_.low_freq_factor) /
                              (config_.high_freq_factor - config_.low_freq_factor);
        f = static_cast<float>((1 - smooth) * f / config_.factor + smooth * f);
      }
    }
  }
}

std::vector<float> RopeTable::frequencies(int64_t length) const {
  if (config_.type != RopeConfig::Type::dynamic || length <= config_.original_max_positions)
    return base_frequencies_;
  const auto d = static_cast<double>(head_dim_);
  const double stretch =
      config_.factor * static_cast<double>(length) / static_cast<double>(config_.original_max_positions) -
      (config_.factor - 1);
  return powers(config_.theta * std::pow(stretch, d / (d - 2)), head_dim_);
}

std::pair<Tensor, Tensor> RopeTable::angles(Tape& tape, int64_t positions) {
  const Layout& layout = tape.layout();
  const DType type = tape.wide();
  const Device device = tape.device();
  // Dynamic angles depend on the row's own length.
  if (device == Device() || config_.type == RopeConfig::Type::dynamic) {
    const auto [cos, sin] = on_host(layout, type);
    return {cos.to(device), sin.to(device)};
  }
  for (const int32_t p : layout.position) positions = std::max<int64_t>(positions, p + 1);
  if (!cos_.defined() || cos_.dim(0) < positions || cos_.device() != device) {
    Layout all;
    all.add_sample(
        static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(std::max<int64_t>(positions, 256)))), 0);
    const auto [cos, sin] = on_host(all, type);
    cos_ = cos.to(device, MemoryClass::weights);
    sin_ = sin.to(device, MemoryClass::weights);
  }
  const auto gather = [&](const Tensor& table) {
    const Tensor rows =
        Tensor::empty({layout.tokens(), table.dim(1)}, type, MemoryClass::activations, device);
    launch(tape.stream(), type, [&]<class T>(auto& s) {
      copy_rows(s, CopyRowsArgs<T>{.count = rows.dim(0),
                                   .cols = rows.dim(1),
                                   .x = table.data<T>(),
                                   .ldx = table.dim(1),
                                   .y = rows.data<T>(),
                                   .ldy = rows.dim(1),
                                   .from = tape.index().position,
                                   .to = {}});
    });
    return rows;
  };
  return {gather(cos_), gather(sin_)};
}

std::pair<Tensor, Tensor> RopeTable::on_host(const Layout& layout, DType type) const {
  const int64_t half = head_dim_ / 2;
  const Tensor cos = Tensor::empty({layout.tokens(), half}, type),
               sin = Tensor::empty({layout.tokens(), half}, type);
  dispatch_compute(type, [&]<class T>() {
    T *c = cos.data<T>(), *s = sin.data<T>();
    for (int32_t sample = 0; sample < layout.samples(); ++sample) {
      const int32_t begin = layout.bounds[sample], end = layout.bounds[sample + 1];
      if (begin == end) continue;
      const std::vector<float> f = frequencies(layout.position[end - 1] + 1);
      for (int32_t t = begin; t < end; ++t) {
        const auto position = static_cast<float>(layout.position[t]);
        for (int64_t i = 0; i < half; ++i) {
          const float angle = position * f[i];
          c[t * half + i] = static_cast<T>(std::cos(static_cast<double>(angle)));
          s[t * half + i] = static_cast<T>(std::sin(static_cast<double>(angle)));
        }
      }
    }
  });
  return {cos, sin};
}

}  // namespace ft
