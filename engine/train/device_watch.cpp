#include "engine/train/device_watch.h"

#include <fmt/format.h>

#include "engine/train/progress.h"

namespace ft {

void DeviceWatch::look(bool now) {
  const auto time = std::chrono::steady_clock::now();
  if (!now && time - looked_ < std::chrono::seconds(1)) return;
  looked_ = time;
  load_ = device_load(device_);
}

std::string DeviceWatch::text() const {
  if (!load_) return "";
  std::string text = "gpu";
  if (load_->memory_bytes) text += " " + human_bytes(static_cast<double>(*load_->memory_bytes));
  if (load_->utilization) text += fmt::format(" {} %", *load_->utilization);
  if (load_->watts) text += fmt::format(" {:.0f} W", *load_->watts);
  if (load_->celsius) text += fmt::format(" {} °C", *load_->celsius);
  return text;
}

void DeviceWatch::add_to(nlohmann::ordered_json& row, std::vector<Scalar>& scalars) const {
  if (!load_) return;
  const auto add = [&](const std::string& name, const auto& figure) {
    if (!figure) return;
    row["device_" + name] = *figure;
    scalars.push_back({"device/" + name, static_cast<double>(*figure)});
  };
  add("memory_bytes", load_->memory_bytes);
  add("utilization", load_->utilization);
  add("watts", load_->watts);
  add("celsius", load_->celsius);
}

}  // namespace ft
