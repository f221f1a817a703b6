// Learning-rate schedules, as Transformers defines them (optimization.py), at the 0-based optimizer step.
#pragma once

#include <cstdint>

#include "engine/config/sections.h"

namespace ft {

/// The factor of training.learning_rate at `step` of `total`. `base` is needed by polynomial alone, whose end
/// is an absolute rate (1e-7).
double schedule_factor(SchedulerType kind, int64_t step, int64_t warmup, int64_t total, double base);

}  // namespace ft
