// CUDA: the step over all tensors at once, with the bits of the CPU's and of one tensor after the other.
#include "engine/ops/optimizer_step.h"

#include <fmt/format.h>

#include <array>

#include "tests/cuda/device_vector.h"
#include "tests/ops/op_test.h"

namespace ft::test {
namespace {

/// Tensors of all sizes around a thread's quad, a chunk and several chunks; each with its own rate and decay.
constexpr std::array<int64_t, 8> kCounts = {1, 3, 4, 1037, 0, kTrainedChunk, kTrainedChunk + 1, 40003};
constexpr int kSteps = 3;

std::vector<float> gradient(size_t tensor, int64_t t) {
  return random_vector<float>(kCounts[tensor], fmt::format("grad{}_{}", tensor, t), 0.1);
}

/// The tensors on one side; Buffer is std::vector<float> or DeviceVector<float>.
template <class Buffer>
struct Tensors {
  std::vector<Buffer> w, grad, first, second;
  std::vector<TrainedTensor<float>> list;

  explicit Tensors(bool state, int64_t skip = 0) {
    for (size_t i = 0; i < kCounts.size(); ++i) {
      const auto make = [&](const std::vector<float>& v) {
        if constexpr (std::is_same_v<Buffer, std::vector<float>>)
          return v;
        else
          return Buffer(v, skip);
      };
      const std::vector<float> none(static_cast<size_t>(kCounts[i]));
      w.push_back(make(random_vector<float>(kCounts[i], fmt::format("w{}", i))));
      grad.push_back(make(none));
      first.push_back(make(none));
      second.push_back(make(none));
      list.push_back({kCounts[i], w[i].data(), grad[i].data(), state ? first[i].data() : nullptr,
                      second[i].data(), i % 3 == 1 ? 16.0 : 1.0, i % 2 == 0 ? 0.01 : 0});
    }
    chunks = number_chunks(std::span(list));
  }
  int64_t chunks = 0;
};

struct OnDevice : Tensors<DeviceVector<float>> {
  explicit OnDevice(bool state, int64_t skip) : Tensors(state, skip), table(list), owner(owners()) {}
  TrainedTensors<float> all() const { return {list, table.data(), owner.data(), chunks}; }
  std::vector<int32_t> owners() const {
    std::vector<int32_t> all;
    for (size_t i = 0; i < list.size(); ++i)
      all.resize(static_cast<size_t>(i + 1 < list.size() ? list[i + 1].chunk : chunks),
                 static_cast<int32_t>(i));
    return all;
  }
  DeviceVector<TrainedTensor<float>> table;
  DeviceVector<int32_t> owner;
};

/// `step(stream, tensors, t)` on both sides for some steps; then the same bits everywhere.
template <class Step>
void expect_cpu_bits(bool state, Step&& step) {
  for (const int64_t skip : {0, 1}) {
    Tensors<std::vector<float>> host(state);
    OnDevice device(state, skip);
    for (int64_t t = 1; t <= kSteps; ++t) {
      for (size_t i = 0; i < kCounts.size(); ++i) {
        std::copy_n(gradient(i, t).data(), kCounts[i], host.grad[i].data());
        device.grad[i].upload(gradient(i, t));
      }
      step(stream(), TrainedTensors<float>{host.list}, t);
      step(cuda_stream(), device.all(), t);
    }
    for (size_t i = 0; i < kCounts.size(); ++i) {
      expect_same_bits(device.w[i].host(), host.w[i], "w");
      expect_same_bits(device.grad[i].host(), host.grad[i], "grad");
      expect_same_bits(device.first[i].host(), host.first[i], "first");
      expect_same_bits(device.second[i].host(), host.second[i], "second");
    }
  }
}

TEST(CudaOptimizerStep, AdamWHasTheBitsOfTheCpu) {
  for (const double beta1 : {0.9, 0.3})
    expect_cpu_bits(true, [&](auto& s, const TrainedTensors<float>& all, int64_t t) {
      adamw_step(s, AdamWStepArgs<float>{all, 3e-4, beta1, 0.95, 1e-8, 0.37, t});
    });
}

TEST(CudaOptimizerStep, SgdHasTheBitsOfTheCpu) {
  for (const bool momentum : {false, true})
    expect_cpu_bits(momentum, [&](auto& s, const TrainedTensors<float>& all, int64_t t) {
      sgd_step(s, SgdStepArgs<float>{all, 0.05, momentum ? 0.9 : 0, 0.5, t});
    });
}

TEST(CudaOptimizerStep, ClearsEveryGradientAndNothingElse) {
  expect_cpu_bits(true, [](auto& s, const TrainedTensors<float>& all, int64_t) {
    clear_gradients(s, ClearGradientsArgs<float>{all});
  });
}

TEST(CudaOptimizerStep, SquaresAreExactToDoubleAndRepeatTheirBits) {
  std::vector<double> first;
  for (const int64_t skip : {0, 1}) {
    OnDevice device(true, skip);
    for (size_t i = 0; i < kCounts.size(); ++i) device.grad[i].upload(gradient(i, 1));
    DeviceVector<double> out(std::vector<double>(kCounts.size(), -1));
    square_gradients(cuda_stream(), SquareGradientsArgs<float>{device.all(), out.data()});
    const std::vector<double> got = out.host();
    for (size_t i = 0; i < kCounts.size(); ++i) {
      long double expected = 0;
      for (const float g : gradient(i, 1)) expected += static_cast<long double>(g) * g;
      EXPECT_NEAR(got[i], static_cast<double>(expected), 1e-14 * static_cast<double>(kCounts[i] + 1));
    }
    if (skip == 0)
      first = got;
    else
      EXPECT_EQ(got, first);
  }
}

TEST(CudaOptimizerStep, BadGradientsShowInTheirTensorAlone) {
  OnDevice device(true, 0);
  std::vector<float> bad = gradient(3, 1);
  bad[1000] = std::numeric_limits<float>::quiet_NaN();
  device.grad[3].upload(bad);
  DeviceVector<double> out(static_cast<int64_t>(kCounts.size()));
  square_gradients(cuda_stream(), SquareGradientsArgs<float>{device.all(), out.data()});
  const std::vector<double> got = out.host();
  for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(std::isfinite(got[i]), i != 3) << i;
}

}  // namespace
}  // namespace ft::test
