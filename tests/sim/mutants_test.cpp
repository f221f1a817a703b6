// Every seeded bug must be found by a check, whatever the schedule; the same kernels without it must be
// clean. What finds it is written down: a finding of that kind, wrong numbers, or a performance counter above
// its ideal.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/sim/float_format.h"
#include "kernels/sim/sim.h"
#include "tests/sim/device_array.h"
#include "tests/sim/mutants.h"

namespace ft::sim::test {
namespace {

struct Outcome {
  bool numbers_right = true;
  std::vector<Finding> findings;
  KernelCounters counters;

  bool has(const std::string& kind) const {
    for (const Finding& f : findings) {
      if (f.kind == kind) return true;
    }
    return false;
  }
  std::string text() const {
    std::string all;
    for (const Finding& f : findings) all += f.kind + " " + f.kernel + " " + f.place + ": " + f.text + "\n";
    return all;
  }
};

Outcome finish() {
  Outcome outcome;
  outcome.findings = reports();
  const auto all = counters();
  if (!all.empty()) outcome.counters = all[0];
  cudaGetLastError();
  clear_reports();
  clear_counters();
  set(Settings{});
  return outcome;
}

Settings checked(uint64_t seed) {
  clear_reports();
  clear_counters();
  Settings s = Settings::checked(seed);
  s.count = true;
  set(s);
  return s;
}

Outcome run_product(Bug bug, uint64_t seed) {
  const int m = 64, n = 32, k = 96;
  checked(seed);
  std::vector<uint16_t> a(m * k), b(k * n);
  for (int i = 0; i < m * k; ++i) a[i] = float_to_bf16(static_cast<float>(i * 7 % 13 - 6));
  for (int i = 0; i < k * n; ++i) b[i] = float_to_bf16(static_cast<float>(i * 5 % 11 - 5));
  DeviceArray<uint16_t> da(a), db(b);
  DeviceArray<float> dc(m * n);
  product(bug, da.get(), db.get(), dc.get(), k);
  const auto c = dc.host();
  bool right = true;
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < n; ++j) {
      float want = 0;
      for (int l = 0; l < k; ++l) want += bf16_to_float(a[i * k + l]) * bf16_to_float(b[l * n + j]);
      right &= c[i * n + j] == want;
    }
  }
  Outcome outcome = finish();
  outcome.numbers_right = right;
  return outcome;
}

Outcome run_sums(Bug bug, uint64_t seed) {
  const int rows = 4, n = 300;
  checked(seed);
  std::vector<float> x(rows * n);
  for (int i = 0; i < rows * n; ++i) x[i] = static_cast<float>(i * 3 % 17 - 7);
  DeviceArray<float> dx(x), out(rows);
  row_sums(bug, dx.get(), out.get(), rows, n);
  const auto got = out.host();
  bool right = true;
  for (int r = 0; r < rows; ++r) {
    float want = 0;
    for (int i = 0; i < n; ++i) want += x[r * n + i];
    right &= got[r] == want;
  }
  Outcome outcome = finish();
  outcome.numbers_right = right;
  return outcome;
}

struct Mutant {
  const char* name;
  Bug bug;
  Outcome (*run)(Bug, uint64_t);
  const char* found_by;  // kind of finding, "numbers" or "conflicts"
};

class Mutants : public testing::TestWithParam<Mutant> {};
void PrintTo(const Mutant& mutant, std::ostream* out) {
  *out << mutant.name;
}

TEST_P(Mutants, IsFoundUnderEverySchedule) {
  const Mutant& mutant = GetParam();
  const std::string by = mutant.found_by;
  for (const uint64_t seed : {0, 1, 2, 3}) {
    const Outcome outcome = mutant.run(mutant.bug, seed);
    if (by == "numbers") {
      EXPECT_FALSE(outcome.numbers_right) << "seed " << seed;
    } else if (by == "conflicts") {
      EXPECT_GT(outcome.counters.wavefronts, outcome.counters.ideal_wavefronts * 3 / 2) << "seed " << seed;
      EXPECT_TRUE(outcome.numbers_right) << "seed " << seed;
    } else {
      EXPECT_TRUE(outcome.has(by)) << "seed " << seed << ", findings:\n" << outcome.text();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Bugs, Mutants,
    testing::Values(Mutant{"LostBarrier", Bug::lost_barrier, run_product, "race"},
                    Mutant{"LostBarrierBehind", Bug::lost_barrier_behind, run_product, "race"},
                    Mutant{"SwappedOperands", Bug::swapped_operands, run_product, "numbers"},
                    Mutant{"LostTrans", Bug::lost_trans, run_product, "numbers"},
                    Mutant{"ShortCopy", Bug::short_copy, run_product, "uninitialised"},
                    Mutant{"LostWait", Bug::lost_wait, run_product, "async"},
                    Mutant{"EarlyWait", Bug::early_wait, run_product, "async"},
                    Mutant{"LostCommit", Bug::lost_commit, run_product, "async"},
                    Mutant{"UnpaddedTile", Bug::unpadded_tile, run_product, "conflicts"},
                    Mutant{"TailBeyond", Bug::tail_beyond, run_sums, "bounds"},
                    Mutant{"TailBeyondNumbers", Bug::tail_beyond, run_sums, "numbers"},
                    Mutant{"TailShort", Bug::tail_short, run_sums, "numbers"},
                    Mutant{"LostSyncwarp", Bug::lost_syncwarp, run_sums, "race"},
                    Mutant{"DivergentBarrier", Bug::divergent_barrier, run_sums, "barrier"},
                    Mutant{"HangingBarrier", Bug::hanging_barrier, run_sums, "hang"},
                    Mutant{"UnwrittenShared", Bug::unwritten_shared, run_sums, "uninitialised"},
                    Mutant{"SharedOutput", Bug::shared_output, run_sums, "race"},
                    Mutant{"MisalignedVector", Bug::misaligned_vector, run_sums, "misaligned"},
                    Mutant{"WrongShuffleMask", Bug::wrong_shuffle_mask, run_sums, "fault"}),
    [](const auto& info) { return info.param.name; });

TEST(Mutants, WithoutABugAreCleanUnderEverySchedule) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    for (const auto run : {run_product, run_sums}) {
      const Outcome outcome = run(Bug::none, seed);
      EXPECT_TRUE(outcome.numbers_right) << "seed " << seed;
      EXPECT_TRUE(outcome.findings.empty()) << "seed " << seed << "\n" << outcome.text();
      // ldmatrix is free of conflicts; two rows of 80 bytes that cp.async writes at a time share four banks.
      EXPECT_LE(outcome.counters.wavefronts, outcome.counters.ideal_wavefronts * 4 / 3) << "bank conflicts";
    }
  }
}

TEST(Mutants, AFindingNamesKernelLineAndThreads) {
  const Outcome outcome = run_product(Bug::lost_barrier, 0);
  ASSERT_FALSE(outcome.findings.empty());
  const Finding& f = outcome.findings[0];
  EXPECT_NE(f.kernel.find("product_kernel"), std::string::npos) << f.kernel;
  EXPECT_NE(f.place.find("mutants.cu:"), std::string::npos) << f.place;
  EXPECT_NE(f.text.find("thread ("), std::string::npos) << f.text;
}

}  // namespace
}  // namespace ft::sim::test
