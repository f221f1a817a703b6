#include "engine/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ft {

double schedule_factor(SchedulerType kind, int64_t step, int64_t warmup, int64_t total, double base) {
  if (kind == SchedulerType::constant) return 1;
  if (step < warmup) return static_cast<double>(step) / static_cast<double>(std::max<int64_t>(1, warmup));
  const auto decay = static_cast<double>(std::max<int64_t>(1, total - warmup));
  const double progress = static_cast<double>(step - warmup) / decay;
  switch (kind) {
    case SchedulerType::linear:
      return std::max(0.0, static_cast<double>(total - step) / decay);
    case SchedulerType::cosine:
      return std::max(0.0, 0.5 * (1 + std::cos(std::numbers::pi * progress)));
    case SchedulerType::polynomial: {
      constexpr double kEnd = 1e-7;
      if (base <= kEnd || step > total) return kEnd / base;
      return ((base - kEnd) * (1 - progress) + kEnd) / base;
    }
    case SchedulerType::inverse_sqrt: {
      const double timescale = warmup > 0 ? static_cast<double>(warmup) : 10000;
      return 1 / std::sqrt((static_cast<double>(step - warmup) + timescale) / timescale);
    }
    case SchedulerType::constant:
    case SchedulerType::constant_with_warmup:
      break;
  }
  return 1;
}

}  // namespace ft
