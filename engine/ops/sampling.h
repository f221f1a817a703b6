// The next token of each row, chosen on a CUDA device from the logits there, so that only ids come back. The
// CPU's path is engine/generate/sampler.cpp; both choose the same token from the same logits: scores go
// through single IEEE float32 operations, and probabilities are whole numbers (below), whose sums have no
// order.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "engine/core/backend_streams.h"
#include "engine/core/index_view.h"

namespace ft {

/// e^below, below <= 0, in units of 2^-40, rounded: the weight of a token whose score lies so far below the
/// highest. A token that is 2^-41 times as likely as the likeliest gets 0. Every operation is rounded by
/// itself.
inline uint64_t sampling_weight(float below) {
  if (!(below > -29.0f)) return 0;
  const double x = static_cast<double>(below);
  const double n = std::floor(x * 0x1.71547652b82fep+0 + 0.5);
  const double r = (x - n * 0x1.62e42fee00000p-1) - n * 0x1.a39ef35793c76p-33;  // e^x = 2^n e^r, |r| < 0.35
  const double over_factorial[] = {1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120,
                                   1.0 / 24,      1.0 / 6,      1.0 / 2,     1.0,        1.0};
  double power = 0;
  for (const double term : over_factorial) power = power * r + term;
  const auto exponent = static_cast<uint64_t>(1023 + 40 + static_cast<int>(n));
  return static_cast<uint64_t>(power * std::bit_cast<double>(exponent << 52) + 0.5);
}

/// Settings of GenerationOptions as the kernel takes them.
struct SamplingRule {
  bool sample = false;  // false: the likeliest token, the lowest id among equals
  float penalty = 1, temperature = 1;
  int64_t top_k = 0;          // 0: off
  float tail = 0;             // 1 − top_p; 0: off
  uint64_t least_weight = 0;  // of min_p; 0: off
};

template <class T>
struct NextTokenArgs {
  int64_t rows = 0, vocab = 0;
  const T* logits = nullptr;  // [rows, vocab]
  SamplingRule rule;
  IndexView length;            // [rows]: tokens of the row so far
  IndexView key;               // [rows · 2]: low and high word of the row's random key
  int32_t* history = nullptr;  // [slots, ld]: each row's tokens; read and appended to where rule.penalty != 1
  int64_t ld_history = 0;
  IndexView slot;             // [rows]: of history
  int32_t* chosen = nullptr;  // [rows]; ~i where logit i is NaN or +∞ (the lowest such), INT32_MIN where none
                              // is finite
};

void next_token(CudaStream&, const NextTokenArgs<float>&);
void next_token(CudaStream&, const NextTokenArgs<BF16>&);
void next_token(CudaStream&, const NextTokenArgs<F16>&);

}  // namespace ft
