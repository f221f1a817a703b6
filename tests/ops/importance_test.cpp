#include "engine/ops/importance.h"

#include "tests/ops/op_test.h"

namespace ft::test {
namespace {

// Three updates of an element by hand: |w g| = 2, 1, 4 with both β = ½.
TEST(Importance, averages_and_their_deviation) {
  const float w[] = {-2, 1, 2}, g[] = {2, -2, 4};
  float average = 0, uncertainty = 0;
  const float averages[] = {1, 1, 2.5}, uncertainties[] = {0.5, 0.25, 0.875};
  for (int i = 0; i < 3; ++i) {
    importance(stream(), ImportanceArgs<float>{1, w + i, g + i, 0.5f, 0.5f, 0.5f, &average, &uncertainty});
    EXPECT_EQ(average, averages[i]);
    EXPECT_EQ(uncertainty, uncertainties[i]);
  }
}

TEST(Importance, bits_do_not_depend_on_threads) {
  constexpr int64_t kCount = 40000;
  const auto w = random_vector<float>(kCount, "w"), g = random_vector<float>(kCount, "g");
  std::vector<float> first;
  for (const int threads : kThreadCounts) {
    auto average = random_vector<float>(kCount, "average"),
         uncertainty = random_vector<float>(kCount, "uncertainty");
    importance(stream(threads), ImportanceArgs<float>{kCount, w.data(), g.data(), 0.3f, 0.85f, 0.9f,
                                                      average.data(), uncertainty.data()});
    average.insert(average.end(), uncertainty.begin(), uncertainty.end());
    if (first.empty()) first = average;
    expect_same_bits(average, first, "averages");
  }
}

}  // namespace
}  // namespace ft::test
