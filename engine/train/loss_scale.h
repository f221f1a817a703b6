// The factor on the loss of a float16 run. Gradients of activations below 2^-24 are zero in float16, those
// above 65504 infinite: the loss is multiplied by a power of two before the backward, the gradients of the
// parameters (float32) are divided by it, exactly, before anything looks at them (Micikevicius et al. 2018,
// section 3.2). The factor is found as torch.amp.GradScaler finds it: halved by a step whose gradients are
// not finite, doubled after 2000 good ones in a row; but never below 1.
#pragma once

#include <cstdint>

namespace ft {

struct LossScale {
  static constexpr double kInitial = 0x1p16, kMost = 0x1p127;  // a float32 holds it
  static constexpr int64_t kGrowthInterval = 2000;

  double factor = 1;       // a power of two; 1 where losses are not scaled
  int64_t good_steps = 0;  // since the factor changed

  /// After a step with finite gradients. True if the factor has changed.
  bool grow() {
    if (++good_steps < kGrowthInterval) return false;
    good_steps = 0;
    if (factor >= kMost) return false;
    factor *= 2;
    return true;
  }
  /// After a step with others. False if the factor was at its minimum.
  bool back_off() {
    good_steps = 0;
    if (factor <= 1) return false;
    factor /= 2;
    return true;
  }
};

}  // namespace ft
