// Disks that are full, fill up, or hold what a killed run left: nothing that was good is lost, and the one
// line on stderr says what to do (must-not-happen 15).
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "engine/core/check.h"
#include "engine/train/space.h"
#include "tests/cli/program.h"

namespace ft::cli {
namespace {

TEST(Space, CheckpointsAtOnceAreTheNewestTheBestAndTheOneBeingWritten) {
  EXPECT_EQ(checkpoints_at_once({.saves = 40}), 40);
  EXPECT_EQ(checkpoints_at_once({.saves = 1}), 2);
  EXPECT_EQ(checkpoints_at_once({.saves = 40, .limit = 3}), 4);
  EXPECT_EQ(checkpoints_at_once({.saves = 40, .limit = 3, .keeps_best = true}), 5);
  EXPECT_EQ(checkpoints_at_once({.saves = 40, .limit = 1}), 2);
  EXPECT_EQ(checkpoints_at_once({.saves = 4, .limit = 3, .keeps_best = true}), 4);
  EXPECT_EQ(checkpoints_at_once({.saves = 3, .limit = 9}), 3);
  EXPECT_EQ(checkpoints_at_once({.saves = 0, .saves_none = true}), 1);
}

TEST(Space, NeedIsCheckpointsAndTheResult) {
  const DiskPlan plan{.weights = 4e9, .optimizer = 8e9, .saves = 10, .limit = 2};
  const double need = bytes_needed(plan);  // 3 · 12 GB + 4 GB and little files
  EXPECT_GT(need, 40e9);
  EXPECT_LT(need, 40.01e9);
  EXPECT_NO_THROW(check_space(plan, need, "out"));
  try {
    check_space(plan, 39.2e9, "runs/out");
    ADD_FAILURE();
  } catch (const InputError& e) {
    EXPECT_STREQ(e.what(),
                 "runs/out: 39.2 GB free, the run needs 40.0 GB (3 checkpoints of 12.0 GB); free some, set "
                 "training.output_dir elsewhere, or lower training.save_total_limit");
  }
}

TEST(Space, PlannedSavesAreThoseOfTheRunLoop) {
  const auto saves = [](SaveStrategy strategy, std::optional<int64_t> every, int64_t done) {
    TrainingSection t;
    t.save_strategy = strategy;
    t.save_steps = every;
    return planned_saves(t, 25, 10, done);  // epochs end with steps 10 and 20
  };
  EXPECT_EQ(saves(SaveStrategy::steps, 4, 0), 7);  // 4, 8 … 24, and 25, the last
  EXPECT_EQ(saves(SaveStrategy::steps, 5, 0), 5);
  EXPECT_EQ(saves(SaveStrategy::steps, 4, 8), 5);
  EXPECT_EQ(saves(SaveStrategy::steps, 100, 0), 1);
  EXPECT_EQ(saves(SaveStrategy::epoch, {}, 0), 3);
  EXPECT_EQ(saves(SaveStrategy::epoch, {}, 20), 1);
  EXPECT_EQ(saves(SaveStrategy::end, {}, 0), 1);
  EXPECT_EQ(saves(SaveStrategy::end, {}, 25), 0);
  EXPECT_EQ(saves(SaveStrategy::no, {}, 0), 0);
}

TEST(Space, FreeBytesAreThoseOfTheNearestFolderThatExists) {
  const TemporaryFolder folder;
  const auto here = free_bytes(folder.path());
  ASSERT_TRUE(here.has_value());
  EXPECT_GT(*here, 0);
  EXPECT_TRUE(free_bytes(folder / "not/there/yet").has_value());
  EXPECT_TRUE(free_bytes("relative/not/there").has_value());
}

constexpr const char* kFixture = "llama_gqa_rslora";

std::vector<std::string> run(std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {"run",   "exp.yaml",
                                        "--set", "training.max_steps=6",
                                        "--set", "training.save_strategy=steps",
                                        "--set", "training.save_steps=2"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(Disk, ARunThatCannotFitIsRefusedBeforeItsFirstStep) {
  const TemporaryFolder folder;
  copy_fixture(kFixture, folder.path());
  const std::vector<std::string> endless = {"--set", "training.max_steps=1000000000000", "--set",
                                            "training.save_steps=1"};
  expect_bad_input(ftengine(run(endless), folder.path()),
                   {"free, the run needs", "training.output_dir elsewhere", "training.save_total_limit"});
  EXPECT_FALSE(fs::exists(folder / "out/resolved.yaml"));
  std::vector<std::string> dry = run(endless);
  dry.push_back("--dry-run");
  expect_bad_input(ftengine(dry, folder.path()), {"free, the run needs"});
  dry.insert(dry.end(), {"--set", "training.save_total_limit=2"});
  expect_success(ftengine(dry, folder.path()));
}

std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      files[entry.path().lexically_relative(folder).string()] = read_bytes(entry.path());
  return files;
}

TEST(Disk, AFullDiskCostsTheUnfinishedCheckpointOnly) {
  const TemporaryFolder folder;
  copy_fixture(kFixture, folder.path());
  expect_success(ftengine(run(), folder.path()));
  const std::string want = read_bytes(folder / "out/adapter_model.safetensors");
  const auto optimizer = fs::file_size(folder / "out/checkpoint-2/optimizer.safetensors");
  ASSERT_GT(optimizer, fs::file_size(folder / "out/checkpoint-2/adapter_model.safetensors"));
  // As after step 3 of the run: one checkpoint and no result.
  fs::remove_all(folder / "out/checkpoint-4");
  fs::remove_all(folder / "out/checkpoint-6");
  fs::remove(folder / "out/adapter_model.safetensors");
  const auto before = contents(folder / "out/checkpoint-2");

  const Outcome full = ftengine(run({"--resume"}), folder.path(), {.most_bytes = optimizer - 1});
  EXPECT_EQ(full.code, 1) << full.err;
  const size_t at = full.err.find("error: ");
  ASSERT_NE(at, std::string::npos) << full.err;
  const std::string line = full.err.substr(at);
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << line;
  for (const char* part : {"out/checkpoint-4/optimizer.safetensors: cannot write: File too large; make room, "
                           "then go on with --resume: ",
                           "out/checkpoint-2 is whole"})
    EXPECT_NE(line.find(part), std::string::npos) << line;
  EXPECT_EQ(contents(folder / "out/checkpoint-2"), before);
  for (const auto& entry : fs::directory_iterator(folder / "out")) {
    const std::string name = entry.path().filename().string();
    EXPECT_EQ(name.find("tmp"), std::string::npos) << name;
    EXPECT_NE(name, "checkpoint-4");
    EXPECT_NE(name, "adapter_model.safetensors");
  }
  expect_success(ftengine({"inspect", (folder / "out/checkpoint-2").string()}));

  expect_success(ftengine(run({"--resume"}), folder.path()));
  EXPECT_EQ(read_bytes(folder / "out/adapter_model.safetensors"), want);
}

TEST(Disk, AFullDiskBeforeTheFirstCheckpointSaysSo) {
  const TemporaryFolder folder;
  copy_fixture(kFixture, folder.path());
  expect_success(ftengine(run({"--set", "training.output_dir=other"}), folder.path()));
  const Outcome full = ftengine(
      run(), folder.path(), {.most_bytes = fs::file_size(folder / "other/adapter_model.safetensors") - 1});
  EXPECT_EQ(full.code, 1) << full.err;
  EXPECT_NE(
      full.err.find("out/checkpoint-2/adapter_model.safetensors: cannot write: File too large; make room, "
                    "then start again with --overwrite"),
      std::string::npos)
      << full.err;
  EXPECT_FALSE(fs::exists(folder / "out/adapter_model.safetensors"));
  // Metrics too: a few bytes are enough for the first rows only.
  const Outcome metrics = ftengine(run({"--overwrite"}), folder.path(), {.most_bytes = 2100});
  EXPECT_EQ(metrics.code, 1) << metrics.err;
  EXPECT_NE(metrics.err.find("cannot write: File too large"), std::string::npos) << metrics.err;
}

TEST(Disk, WhatKilledRunsLeftGoesWhenTheFolderIsOpened) {
  const TemporaryFolder folder;
  copy_fixture(kFixture, folder.path());
  expect_success(ftengine(run(), folder.path()));
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  const auto litter = [&] {
    write_bytes(folder / ("out/.checkpoint-4.tmp-" + std::to_string(child) + "-3/optimizer.safetensors"),
                "half");
    write_bytes(folder / ("out/.adapter_model.safetensors.tmp-" + std::to_string(child) + "-7"), "half");
    write_bytes(folder / ("out/checkpoint-2/.trainer_state.json.tmp-" + std::to_string(child) + "-1"),
                "half");
    write_bytes(folder / ("out/.resolved.yaml.tmp-" + std::to_string(::getpid()) + "-1"),
                "another writes it");
  };
  const auto strays = [&] {
    int count = 0;
    for (const auto& [name, bytes] : contents(folder / "out"))
      count += name.find(".tmp-") != std::string::npos;
    return count;
  };
  for (const char* how : {"--resume", "--overwrite"}) {
    litter();
    EXPECT_EQ(strays(), 4);
    expect_success(ftengine(run({how}), folder.path()));
    EXPECT_EQ(strays(), 1) << how;
  }
}

TEST(Disk, OverwriteCostsNothingUntilTheNewRunIsSureToStart) {
  const TemporaryFolder folder;
  copy_fixture(kFixture, folder.path());
  expect_success(ftengine(run(), folder.path()));
  const auto before = contents(folder / "out");
  expect_bad_input(ftengine(run({"--overwrite", "--set", "data.train.path=nowhere.jsonl"}), folder.path()),
                   {"nowhere.jsonl"});
  EXPECT_EQ(contents(folder / "out"), before);
  // And it never removes what no run has written.
  const auto model = contents(folder / "model");
  expect_bad_input(ftengine(run({"--overwrite", "--set", "training.output_dir=model"}), folder.path()),
                   {"the folder of the model itself"});
  fs::copy(folder / "model", folder / "copy");
  for (const char* name : {"samples.jsonl", "report.html", "tokenizer.json"})
    write_bytes(folder / "copy" / name, "mine");
  expect_success(ftengine(run({"--overwrite", "--set", "training.output_dir=copy"}), folder.path()));
  EXPECT_EQ(contents(folder / "model"), model);
  EXPECT_EQ(read_bytes(folder / "copy/config.json"), model.at("config.json"));
  EXPECT_EQ(read_bytes(folder / "copy/tokenizer.json"), "mine");
}

}  // namespace
}  // namespace ft::cli
