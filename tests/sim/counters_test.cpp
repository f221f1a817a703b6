// Counters of kernels whose counts can be done by hand.
#include <gtest/gtest.h>

#include "kernels/sim/sim.h"
#include "tests/sim/device_array.h"
#include "tests/sim/kernels.h"

namespace ft::sim::test {
namespace {

class Counted : public testing::Test {
 protected:
  void SetUp() override {
    clear_counters();
    Settings s;
    s.count = true;
    set(s);
  }
  void TearDown() override {
    set(Settings{});
    clear_counters();
  }
  static KernelCounters only() {
    const auto all = counters();
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? KernelCounters{} : all[0];
  }
};

TEST_F(Counted, AVectorSumMovesWholeSectors) {
  const int n = 1024;
  DeviceArray<float> a(std::vector<float>(n, 1.0f)), b(std::vector<float>(n, 2.0f)), out(n);
  add(a.get(), b.get(), out.get(), n);
  const KernelCounters k = only();
  EXPECT_EQ(k.kernel, "ft::sim::test::add_kernel");
  EXPECT_EQ(k.launches, 1u);
  EXPECT_EQ(k.blocks, 8u);
  EXPECT_EQ(k.global_loaded_bytes, 2u * 4 * n);
  EXPECT_EQ(k.global_stored_bytes, 4u * n);
  EXPECT_EQ(k.sectors, 3u * 4 * n / 32);
  EXPECT_EQ(k.ideal_sectors, k.sectors);
  EXPECT_EQ(k.flops, static_cast<uint64_t>(n));
  EXPECT_EQ(k.by_class.at("load_global"), 2u * n / 32);
  EXPECT_EQ(k.by_class.at("store_global"), 1u * n / 32);
  EXPECT_EQ(k.wavefronts, 0u);
}

TEST_F(Counted, AMisplacedVectorTouchesOneSectorMoreAWarp) {
  const int n = 1024;
  DeviceArray<float> a(std::vector<float>(n + 1, 1.0f)), b(std::vector<float>(n, 2.0f)), out(n);
  add(a.get() + 1, b.get(), out.get(), n);
  const KernelCounters k = only();
  EXPECT_EQ(k.ideal_sectors, 3u * 4 * n / 32);
  EXPECT_EQ(k.sectors, k.ideal_sectors + n / 32);
}

TEST_F(Counted, TensorCoreWorkIsTwiceTheProduct) {
  const int m = 32, n = 24, k = 48;
  DeviceArray<uint16_t> a(std::vector<uint16_t>(m * k, 0)), b(std::vector<uint16_t>(n * k, 0));
  DeviceArray<float> c(m * n);
  mma(a.get(), b.get(), c.get(), m, n, k);
  const KernelCounters counted = only();
  EXPECT_EQ(counted.flops, 2u * m * n * k);
  EXPECT_EQ(counted.by_class.at("tensor_core"), static_cast<uint64_t>(m / 16 * (n / 8) * (k / 16)));
}

TEST_F(Counted, CountsDoNotDependOnThreadsOrOrder) {
  std::string first;
  for (const auto& [threads, seed] : {std::pair{1, 0}, {2, 0}, {1, 5}}) {
    clear_counters();
    Settings s;
    s.count = true;
    s.threads = threads;
    s.seed = static_cast<uint64_t>(seed);
    set(s);
    DeviceArray<float> x(std::vector<float>(5 * 777, 1.0f)), out(5);
    reduce(x.get(), out.get(), 5, 777);
    const std::string json = counters_json(true);
    if (first.empty()) first = json;
    EXPECT_EQ(json, first);
  }
  EXPECT_NE(first.find("\"place\": \""), first.npos);
}

}  // namespace
}  // namespace ft::sim::test
