// The CUDA device under test: what it is, and what it could do at best.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/core/dtype.h"

namespace ft::bench {

struct DeviceFacts {
  std::string backend;                                // the engine's name of the device: "cuda" or "cuda-sim"
  std::string name;                                   // CUDA's
  int major = 0, minor = 0, driver = 0, runtime = 0;  // compute capability; versions as CUDA counts them
  int multiprocessors = 0;
  int64_t memory_bytes = 0, l2_bytes = 0;

  bool simulated() const { return backend == "cuda-sim"; }
};

/// Device 0 of this program. Throws ft::InputError where the machine has none.
DeviceFacts device_facts();
/// "13.0" of 13000.
std::string version_text(int version);

/// Limits from NVIDIA's data sheets, dense: GB/s, and TFLOP/s by type (bfloat16 on tensor cores, float32 in
/// IEEE arithmetic, not TF32).
struct Roofline {
  double gb_per_second = 0, bf16 = 0, f32 = 0;

  double tflops(DType type) const { return size_of(type) == 2 ? bf16 : f32; }
  /// The least time in ms that moves `bytes` and computes `flops` in `type`.
  double least_ms(double bytes, double flops, DType type) const;
};
/// Of A100, H100 and H200, by name and compute capability; nothing for other devices.
std::optional<Roofline> roofline_of(const DeviceFacts& device);

}  // namespace ft::bench
