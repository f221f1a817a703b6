// A fault of a kernel is an error that names kernel, line, thread, address and the nearest allocation; never
// a crash.
#include <gtest/gtest.h>

#include "engine/core/check.h"
#include "kernels/sim/sim.h"
#include "tests/sim/device_array.h"
#include "tests/sim/kernels.h"

namespace ft::sim::test {
namespace {

TEST(Faults, AccessOutOfBoundsNamesEverything) {
  set(Settings{});
  DeviceArray<float> out(100);
  out_of_bounds(out.get(), 90);
  EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
  const std::string text = cudaGetErrorString(cudaErrorIllegalAddress);
  EXPECT_NE(text.find("bounds_kernel"), text.npos) << text;
  EXPECT_NE(text.find("kernels.cu:"), text.npos) << text;
  EXPECT_NE(text.find("thread (10,0,0)"), text.npos) << text;
  EXPECT_NE(text.find("0 bytes after the end of allocation"), text.npos) << text;
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  out_of_bounds(out.get(), 10);  // the device goes on
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST(Faults, UseAfterFreeAndHostPointersAreNamed) {
  set(Settings{});
  float* p = nullptr;
  ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&p), 4096), cudaSuccess);
  ASSERT_EQ(cudaFree(p), cudaSuccess);
  out_of_bounds(p, 0);
  EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
  EXPECT_NE(last_fault().find("which is freed"), std::string::npos) << last_fault();
  std::vector<float> host(32);
  out_of_bounds(host.data(), 0);
  EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
  out_of_bounds(nullptr, 0);
  EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
  EXPECT_NE(last_fault().find("a null pointer"), std::string::npos) << last_fault();
}

TEST(Settings, AreParsedFromWords) {
  const Settings s = parse_settings("check,seed=12,rounding=a100,threads=3,count");
  EXPECT_TRUE(s.check_races && s.check_initialised && s.check_barriers && s.count);
  EXPECT_EQ(s.seed, 12u);
  EXPECT_EQ(s.rounding, Rounding::a100);
  EXPECT_EQ(s.threads, 3);
  EXPECT_FALSE(parse_settings("").check_races);
  EXPECT_THROW(parse_settings("seed=x"), InputError);
  EXPECT_THROW(parse_settings("chek"), InputError);
}

}  // namespace
}  // namespace ft::sim::test
