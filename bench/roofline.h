// A prediction, not a measurement: how near to the roofline of an H100 (SXM) a kernel can come, from what the
// simulator counted. Every resource is taken at its full rate and all overlap; latency, occupancy and
// launches are not in it, so real times are longer, at small sizes much longer.
//   hbm     bytes at 3.35 TB/s: with perfect caches the work's (each operand and result once), with none all
//           counted sectors
//   l1      counted sectors: a multiprocessor takes in 64 bytes a clock from L2
//   shared  counted wavefronts: one a clock and multiprocessor
//   fp32    counted operations outside tensor cores at 66.9 TFLOP/s
//   tensor  counted mma operations at 989 TFLOP/s (dense bfloat16)
//   issue   counted warp instructions (of PTX): four a clock and multiprocessor
// The share is the time of the work alone (its bytes, or its operations at the rate of the units that the
// kernel uses) over the time of the resource that the counts load most: a range, from no caches to perfect
// ones. The bound is that resource with perfect caches.
#pragma once

#include <algorithm>
#include <span>
#include <string_view>

#include "kernels/sim/sim.h"
#include "tests/cuda/kernel_launch.h"

namespace ft::bench {

struct H100 {
  static constexpr double hbm_bytes = 3.35e12, fp32_flops = 66.9e12, tensor_flops = 989e12;
  static constexpr double clocks = fp32_flops / 256;  // of all multiprocessors a second: 132 · 1.98 GHz
  static constexpr double l1_bytes = 64 * clocks, wavefronts = clocks, instructions = 4 * clocks;
};

struct Prediction {
  double seconds = 0;                         // with perfect caches
  double least_share = 0, largest_share = 0;  // without caches, with perfect ones
  std::string_view bound;
};

/// Of all kernels of one op, which run one after the other.
inline Prediction predict(const Work& work, std::span<const sim::KernelCounters> kernels) {
  double seconds = 0, uncached_seconds = 0, longest = 0, tensor_total = 0;
  std::string_view bound = "none";
  for (const sim::KernelCounters& k : kernels) {
    const auto real = [](uint64_t n) { return static_cast<double>(n); };
    const auto mma = k.by_class.find("tensor_core");
    // All of ours are m16n8k16: kernels/cuda/ptx.cuh.
    const double tensor = mma == k.by_class.end() ? 0 : 2.0 * 16 * 8 * 16 * real(mma->second);
    tensor_total += tensor;
    const std::pair<double, std::string_view> loads[] = {
        {32 * real(k.sectors) / H100::l1_bytes, "l1"},
        {real(k.wavefronts) / H100::wavefronts, "shared"},
        {(real(k.flops) - tensor) / H100::fp32_flops, "fp32"},
        {tensor / H100::tensor_flops, "tensor"},
        {real(k.warp_instructions) / H100::instructions, "issue"},
    };
    const auto& most = *std::max_element(std::begin(loads), std::end(loads));
    seconds += most.first;
    uncached_seconds += std::max(most.first, 32 * real(k.sectors) / H100::hbm_bytes);
    if (most.first > longest) {
      longest = most.first;
      bound = most.second;
    }
  }
  const double hbm = work.bytes / H100::hbm_bytes;
  if (hbm > seconds) {
    seconds = hbm;
    bound = "hbm";
  }
  const double peak = tensor_total > 0 ? H100::tensor_flops : H100::fp32_flops;
  const double least = std::max(hbm, work.flops / peak);
  if (seconds == 0) return {0, 0, 0, bound};
  return {seconds, least / std::max(uncached_seconds, seconds), least / seconds, bound};
}

}  // namespace ft::bench
