// Which rows make which step: all of them once an epoch, the same for the same seed, and of similar length
// where asked for.
#include "engine/train/plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/cli/tiny_model.h"

namespace ft::cli {
namespace {

struct Rows {
  std::vector<DataRow> rows;
  TrainingSection training;
  Rows() {
    std::vector<int64_t> lengths;
    Rng rng(1, "lengths");
    for (int i = 0; i < 1003; ++i) lengths.push_back(2 + rng.below(200));
    rows = drawn_rows(lengths, 50);
    training.per_device_train_batch_size = 4;
    training.gradient_accumulation_steps = 2;
    training.num_train_epochs = 2;
  }
  /// Rows of every step.
  std::vector<std::vector<const DataRow*>> steps(bool shuffle, bool grouped, bool backwards = false) const {
    StepPlan plan(rows, training, shuffle, grouped);
    std::vector<std::vector<const DataRow*>> all(static_cast<size_t>(plan.total_steps()));
    for (size_t i = 0; i < all.size(); ++i) {
      const size_t step = backwards ? all.size() - 1 - i : i;
      all[step] = plan.rows(static_cast<int64_t>(step));
    }
    return all;
  }
};

/// Mean over steps of the longest row less the shortest.
double spread(const std::vector<std::vector<const DataRow*>>& steps) {
  double sum = 0;
  for (const auto& step : steps) {
    const auto [low, high] = std::minmax_element(
        step.begin(), step.end(), [](auto* a, auto* b) { return a->ids.size() < b->ids.size(); });
    sum += static_cast<double>((*high)->ids.size() - (*low)->ids.size());
  }
  return sum / static_cast<double>(steps.size());
}

TEST(StepPlan, EveryRowOnceAnEpochWhateverTheOrder) {
  const Rows r;
  for (const bool shuffle : {false, true})
    for (const bool grouped : {false, true}) {
      const auto steps = r.steps(shuffle, grouped);
      ASSERT_EQ(steps.size(), 252u);
      for (size_t epoch = 0; epoch < 2; ++epoch) {
        std::vector<const DataRow*> seen;
        for (size_t i = 0; i < 126; ++i) {
          const auto& step = steps[epoch * 126 + i];
          EXPECT_EQ(step.size(), i == 125 ? 3u : 8u);  // the short step is the last
          seen.insert(seen.end(), step.begin(), step.end());
        }
        std::sort(seen.begin(), seen.end());
        EXPECT_EQ(std::unique(seen.begin(), seen.end()) - seen.begin(), 1003);
      }
      EXPECT_EQ(steps, r.steps(shuffle, grouped, true));  // the cursor is the step's number alone
    }
}

TEST(StepPlan, GroupedStepsHoldRowsOfSimilarLength) {
  const Rows r;
  const auto grouped = r.steps(true, true);
  EXPECT_LT(spread(grouped), spread(r.steps(true, false)) / 10);
  EXPECT_NE(grouped[0], grouped[126]);  // anew each epoch
  // Lengths do not climb or fall through an epoch.
  int longer = 0;
  for (size_t i = 1; i < 126; ++i) longer += grouped[i][0]->ids.size() > grouped[i - 1][0]->ids.size();
  EXPECT_GT(longer, 30);
  EXPECT_LT(longer, 95);
}

}  // namespace
}  // namespace ft::cli
