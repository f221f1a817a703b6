// must-not-happen 15: whichever write fails, the last good checkpoint stays, the one line on stderr says how
// to go on, and who does as it says gets the bytes of a run that nothing disturbed.
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <thread>

#include "engine/train/checkpoint.h"
#include "tests/cli/long_run.h"

namespace ft::cli {
namespace {

constexpr int kSteps = 4;

const Result& undisturbed() {
  static const Result result = [] {
    const TemporaryFolder folder(true);
    make_long_run(folder.path(), kSteps);
    expect_success(ftengine({"run", "exp.yaml"}, folder.path()));
    return result_of(folder / "out");
  }();
  return result;
}

/// The run failed for want of a write: checks its last words, and does what they say.
void expect_recovery(const Outcome& o, const fs::path& folder, const std::string& fault) {
  EXPECT_EQ(o.code, 1) << fault << "\n" << o.err;
  const size_t at = o.err.find("error: ");
  ASSERT_NE(at, std::string::npos) << fault << "\n" << o.err;
  const std::string line = o.err.substr(at);
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << line;
  expect_nothing_half_written(folder / "out");
  const auto checkpoints = list_checkpoints(folder / "out");
  std::vector<std::string> arguments = {"run", "exp.yaml"};
  if (checkpoints.empty()) {
    EXPECT_NE(line.find("start again with --overwrite"), std::string::npos) << fault << "\n" << line;
    arguments.emplace_back("--overwrite");
  } else {
    EXPECT_NE(line.find("go on with --resume: " + fs::canonical(checkpoints.back()).string() + " is whole"),
              std::string::npos)
        << fault << "\n"
        << line;
    arguments.emplace_back("--resume");
  }
  expect_success(ftengine(arguments, folder));
  EXPECT_EQ(difference(result_of(folder / "out"), undisturbed()), "") << fault;
}

int stride() {
  return trials(1) > 1 ? 1 : 5;
}

/// From the `first` on, every stride()-th write of a run fails, each in a run of its own. Returns how many
/// did.
int fail_every(const std::string& how, int first) {
  int faults = 0;
  for (int n = first;; n += stride()) {
    const TemporaryFolder folder(true);
    make_long_run(folder.path(), kSteps);
    const std::string fault = fmt::format("any:{}{}", n, how);
    const Outcome o = ftengine({"run", "exp.yaml"}, folder.path(), {.fault = fault});
    if (o.err.find("fault: ") == std::string::npos) break;
    ++faults;
    if (o.code != 0) {
      expect_recovery(o, folder.path(), fault + "\n" + o.err);
      continue;
    }
    // The report, and the removal of a checkpoint that is one too many, are worth no run.
    EXPECT_EQ(difference(result_of(folder / "out"), undisturbed()), "") << fault << "\n" << o.err;
    expect_nothing_half_written(folder / "out");
  }
  return faults;
}

TEST(Line15WriteFaults, EachWriteFailsOnce) {
  const int faults = fail_every(":EIO", 1);
  std::printf("trust: %d single write faults (EIO), nothing lost\n", faults);
  EXPECT_GT(faults, 100 / stride());
}

TEST(Line15WriteFaults, TheDiskIsFullFromEachWriteOn) {
  const int faults = fail_every("+", trials(1) > 1 ? 1 : 3);
  std::printf("trust: %d disks full from some write on (ENOSPC), nothing lost\n", faults);
  EXPECT_GT(faults, 100 / stride());
}

TEST(Line15WriteFaults, SaveTotalLimitNeverCostsTheOnlyGoodCheckpoint) {
  // limit 1, and every write of the second checkpoint fails: the first one is still there, and whole.
  for (int n = 1; n < 200; n += stride()) {
    const TemporaryFolder folder(true);
    make_long_run(folder.path(), kSteps);
    const std::vector<std::string> limits = {"run", "exp.yaml", "--set", "training.save_total_limit=1"};
    const Outcome o = ftengine(limits, folder.path(), {.fault = fmt::format("any:{}", n)});
    if (o.err.find("fault: ") == std::string::npos) break;
    if (o.code == 0) continue;
    const bool had_one = o.err.find("is whole") != std::string::npos;
    EXPECT_EQ(had_one, !list_checkpoints(folder / "out").empty()) << o.err;
    if (o.err.find("out/checkpoint-4") != std::string::npos) {
      EXPECT_TRUE(had_one) << o.err;
    }
    expect_nothing_half_written(folder / "out");
  }
}

// must-not-happen 9: what was saved is read back and compared.
TEST(Line9SavedAdapter, ADiskThatLiesIsCaught) {
  int lies = 0;
  for (int n = 1; n < 200; ++n) {
    const TemporaryFolder folder(true);
    make_long_run(folder.path(), 2);
    const Outcome o = ftengine({"run", "exp.yaml"}, folder.path(), {.fault = fmt::format("write:{}:lie", n)});
    if (o.err.find("fault: ") == std::string::npos) break;
    if (o.err.find("adapter_model.safetensors\n") == std::string::npos)
      continue;  // of the line "fault: write …"
    ++lies;
    EXPECT_EQ(o.code, 1) << o.err;
    EXPECT_NE(o.err.find("the disk may be at fault"), std::string::npos) << o.err;
  }
  EXPECT_EQ(lies, 2) << "the checkpoint's and the result's";
}

/// A real file system, where the machine lets us have one, which somebody else fills while the run is at it.
TEST(Line15WriteFaults, ARealDiskThatFillsUp) {
  const TemporaryFolder folder(true);
  make_long_run(folder.path(), 300);  // far longer than it takes to fill the disk
  const std::vector<std::string> patient = {"run", "exp.yaml", "--set",
                                            "training.early_stopping_patience=1000"};
  expect_success(ftengine(patient, folder.path()));
  const Result whole = result_of(folder / "out");
  fs::create_directory(folder / "disk");
  if (::mount("ft-test", (folder / "disk").c_str(), "tmpfs", 0, "size=8m") != 0)
    GTEST_SKIP() << "no permission to mount a tmpfs here";
  struct Unmount {
    fs::path path;
    ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
  } unmount{folder / "disk"};
  edit(folder / "exp.yaml", "output_dir: out", "output_dir: disk/out");
  for (int attempt = 0; attempt < trials(4); ++attempt) {
    fs::remove_all(folder / "disk/out");
    std::atomic<bool> ended{false};
    std::thread filler([&] {
      while (!ended && list_checkpoints(folder / "disk/out").empty()) ::usleep(200);
      ::usleep(static_cast<useconds_t>(attempt * 7000));
      const int ballast = ::open((folder / "disk/ballast").c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
      off_t size = 0;
      for (; !ended; ::usleep(200))  // again: what a run removes, somebody else takes
        for (const off_t piece : {1 << 20, 1 << 16, 1 << 12})
          while (::posix_fallocate(ballast, size, piece) == 0) size += piece;
      ::close(ballast);
    });
    const Outcome o = ftengine(patient, folder.path());
    ended = true;
    filler.join();
    fs::remove(folder / "disk/ballast");
    ASSERT_EQ(o.code, 1) << o.err;
    EXPECT_NE(o.err.find("No space left on device; make room, then go on with --resume: "), std::string::npos)
        << o.err;
    expect_nothing_half_written(folder / "disk/out");
    std::vector<std::string> resume = patient;
    resume.emplace_back("--resume");
    expect_success(ftengine(resume, folder.path()));
    EXPECT_EQ(difference(result_of(folder / "disk/out"), whole), "");
  }
  std::printf("trust: %d runs met a disk that filled up, nothing lost\n", trials(4));
}

}  // namespace
}  // namespace ft::cli
