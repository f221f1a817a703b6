// must-not-happen 14: a run that `kill -9` ended, at whatever moment, goes on to the bytes of one that nobody
// disturbed. The moments are drawn over the whole life of the process (start, steps, evaluations, saving, the
// result) and, by FT_FAULT, inside each kind of write of a checkpoint.
#include <cstdio>

#include "engine/core/rng.h"
#include "engine/train/checkpoint.h"
#include "tests/cli/long_run.h"

namespace ft::cli {
namespace {

struct Undisturbed {
  TemporaryFolder folder{true};
  Result result;
  double seconds = 0;
  Undisturbed(int steps) {
    make_long_run(folder.path(), steps);
    for (int i = 0; i < 2; ++i) {  // the second is not the first to read the program from the disk
      const Outcome o = ftengine({"run", "exp.yaml", "--overwrite"}, folder.path());
      expect_success(o);
      seconds = o.seconds;
    }
    result = result_of(folder / "out");
  }
};

constexpr int kSteps = 80;  // the best weights come at 22, the early stop at 30

TEST(Line14Resume, KilledAtAnyMomentTheRunEndsInTheSameBytes) {
  const Undisturbed whole(kSteps);
  ASSERT_FALSE(whole.result.log.is_null());
  const auto last = whole.result.log.back().at("step").get<int>();
  EXPECT_LT(last, kSteps) << "early stopping is part of what is tested";
  EXPECT_GT(last, 8);
  Rng rng(14, "kill");
  int kills = 0, resumed = 0, from_the_start = 0;
  for (int t = 0; t < trials(6); ++t) {
    const TemporaryFolder folder(true);
    make_long_run(folder.path(), kSteps);
    bool ended = false;
    for (int k = 0; k < 4 && !ended; ++k) {
      const auto arguments = next_attempt(folder.path());
      (arguments.back() == "--resume" ? resumed : from_the_start)++;
      const Outcome o =
          ftengine(arguments, folder.path(), {.kill_after = whole.seconds * rng.uniform(0.02f, 0.9f)});
      ended = o.code == 0;
      ASSERT_TRUE(ended || o.code == 128 + 9) << o.code << o.err;
      kills += !ended;
    }
    if (!ended) expect_success(ftengine(next_attempt(folder.path()), folder.path()));
    EXPECT_EQ(difference(result_of(folder / "out"), whole.result), "") << "trial " << t;
    expect_nothing_half_written(folder / "out");
    // And once more behind its end: nothing is left to do, and nothing changes.
    expect_success(ftengine({"run", "exp.yaml", "--resume"}, folder.path()));
    EXPECT_EQ(difference(result_of(folder / "out"), whole.result), "") << "trial " << t << ", after its end";
  }
  std::printf(
      "trust: %d kills at drawn moments of %d runs (%d starts from a checkpoint), all ended in the same "
      "bytes\n",
      kills, trials(6), resumed);
  EXPECT_GT(kills, 0);
}

TEST(Line14Resume, KilledInsideAWriteTheRunEndsInTheSameBytes) {
  const Undisturbed whole(4);
  const int stride = trials(1) > 1 ? 1 : 5;
  int kills = 0;
  for (int n = stride > 1 ? 2 : 1;; n += stride) {
    const TemporaryFolder folder(true);
    make_long_run(folder.path(), 4);
    const Outcome o = ftengine({"run", "exp.yaml"}, folder.path(), {.fault = fmt::format("any:{}:kill", n)});
    if (o.code == 0) break;  // there are fewer writes
    ASSERT_EQ(o.code, 128 + 9) << o.err;
    ++kills;
    expect_success(ftengine(next_attempt(folder.path()), folder.path()));
    EXPECT_EQ(difference(result_of(folder / "out"), whole.result), "") << "at " << o.err;
    expect_nothing_half_written(folder / "out");
  }
  std::printf("trust: %d kills inside writes, all ended in the same bytes\n", kills);
  EXPECT_GT(kills, 100 / stride);
}

TEST(Line14Resume, AnEarlierCheckpointReplacesThoseBehindIt) {
  const TemporaryFolder folder(true);
  make_long_run(folder.path(), 8);
  const std::vector<std::string> all = {"run", "exp.yaml", "--set", "training.save_total_limit=9"};
  expect_success(ftengine(all, folder.path()));
  const Result whole = result_of(folder / "out");
  std::vector<std::string> again = all;
  again.insert(again.end(), {"--resume", "out/checkpoint-4"});
  const Outcome killed = ftengine(again, folder.path(), {.fault = "any:8:kill"});
  ASSERT_EQ(killed.code, 128 + 9) << killed.err;
  EXPECT_EQ(list_checkpoints(folder / "out").back().filename(), "checkpoint-4") << killed.err;
  std::vector<std::string> newest = all;
  newest.emplace_back("--resume");
  expect_success(ftengine(newest, folder.path()));
  EXPECT_EQ(difference(result_of(folder / "out"), whole), "");
}

TEST(Line14Resume, AChangedConfigurationGoesOnOnlyWhenToldTo) {
  const TemporaryFolder folder(true);
  make_long_run(folder.path(), 4);
  expect_success(ftengine({"run", "exp.yaml"}, folder.path()));
  std::vector<std::string> longer = {"run", "exp.yaml", "--resume", "--set", "training.max_steps=6"};
  const Outcome refused = ftengine(longer, folder.path());
  EXPECT_EQ(refused.code, 2) << refused.err;
  for (const char* part : {"the configuration has changed", "--resume-anyway",
                           "\n  training.max_steps: the number 4 then, the number 6 now"})
    EXPECT_NE(refused.err.find(part), std::string::npos) << refused.err;
  longer.emplace_back("--resume-anyway");
  const Outcome told = ftengine(longer, folder.path());
  expect_success(told);
  for (const char* part :
       {"warning: the configuration has changed since the checkpoint", "training.max_steps"})
    EXPECT_NE(told.err.find(part), std::string::npos) << told.err;
  EXPECT_TRUE(fs::exists(folder / "out/checkpoint-6"));
  // Other rows likewise; another base never.
  write_bytes(folder / "train.jsonl", R"({"input_ids": [4, 8, 15, 16]})"
                                      "\n");
  longer.pop_back();
  const Outcome rows = ftengine(longer, folder.path());
  EXPECT_EQ(rows.code, 2) << rows.err;
  EXPECT_NE(rows.err.find("the training data has changed"), std::string::npos) << rows.err;
  longer.emplace_back("--resume-anyway");
  expect_success(ftengine(longer, folder.path()));
  fs::remove_all(folder / "model");
  fs::copy(fixture("llama_rank_patterns") / "model", folder / "model");
  const Outcome other = ftengine(longer, folder.path());
  EXPECT_EQ(other.code, 2) << other.err;
  EXPECT_NE(other.err.find("another base model"), std::string::npos) << other.err;
}

}  // namespace
}  // namespace ft::cli
