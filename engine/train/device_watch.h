// The device of a run as its metrics, its progress and TensorBoard show it; nothing where NVML is not there.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/core/device_info.h"
#include "engine/train/tensorboard.h"

namespace ft {

class DeviceWatch {
 public:
  explicit DeviceWatch(Device device) : device_(device) {}
  /// Asks again: `now`, or where the last answer is a second old.
  void look(bool now);
  /// "gpu 12.5 GB 87 % 250 W 61 °C": what is known, or "".
  std::string text() const;
  /// device_memory_bytes and so on; device/memory_bytes and so on.
  void add_to(nlohmann::ordered_json& row, std::vector<Scalar>& scalars) const;

 private:
  Device device_;
  std::optional<DeviceLoad> load_;
  std::chrono::steady_clock::time_point looked_{};
};

}  // namespace ft
