// Every test of a kernel runs under all checkers of the simulator, and fails on any finding. The environment
// variable FT_SIM (kernels/sim/sim.h) chooses other settings: another order of warps and blocks, how tensor
// cores round.
#include <gtest/gtest.h>

#include <cstdlib>

#include "kernels/sim/sim.h"

namespace {

class NoFindings : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo&) override { ft::sim::clear_reports(); }
  void OnTestEnd(const testing::TestInfo&) override {
    for (const ft::sim::Finding& f : ft::sim::reports())
      ADD_FAILURE() << f.kind << " in " << f.kernel << ", " << f.place << ": " << f.text;
  }
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (!std::getenv("FT_SIM")) ft::sim::set(ft::sim::Settings::checked());
  testing::UnitTest::GetInstance()->listeners().Append(new NoFindings);
  return RUN_ALL_TESTS();
}
