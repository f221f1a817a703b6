// Reading and replacing files: what is read is what is there, and a failed write changes nothing.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "engine/io/atomic_file.h"
#include "engine/io/atomic_folder.h"
#include "engine/io/mapped_file.h"
#include "engine/io/printable.h"
#include "engine/io/text_file.h"
#include "tests/io/io_testing.h"

namespace ft {
namespace {

namespace fs = std::filesystem;
using testing::expect_error;
using testing::read_bytes;
using testing::TemporaryFolder;
using testing::write_bytes;

/// While it lives, no file of this process grows beyond `bytes`: a write past that fails like one on a full
/// disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : previous_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &previous_);
    const rlimit limited{bytes, previous_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limited);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &previous_);
    std::signal(SIGXFSZ, previous_handler_);
  }

 private:
  rlimit previous_{};
  void (*previous_handler_)(int);
};

/// Bytes of mapped files that are resident in this process.
size_t resident_file_bytes() {
  size_t total, resident, shared;
  std::ifstream("/proc/self/statm") >> total >> resident >> shared;
  return shared * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

TEST(Printable, KeepsOneLineOfWellFormedText) {
  EXPECT_EQ(printable("weight.中文.é"), "weight.中文.é");
  EXPECT_EQ(printable(std::string_view("a\nb\0c\x7f", 6)), "a?b?c?");
  EXPECT_EQ(printable("\xff\xc0\xaf\xed\xa0\x80 \xe4\xb8"), "?????? ??");
  EXPECT_EQ(printable("\xc2\x85"), "?");  // NEL breaks lines in some terminals
  EXPECT_EQ(printable("中文字", 7), "中文…");
}

TEST(MappedFile, HoldsTheBytesAndSurvivesAMove) {
  const TemporaryFolder folder;
  MappedFile file(write_bytes(folder / "a", "hello"));
  const MappedFile moved = std::move(file);
  EXPECT_EQ(moved.text(), "hello");
  EXPECT_EQ(MappedFile(write_bytes(folder / "empty", "")).bytes().size(), 0u);
}

TEST(MappedFile, RefusesWhatIsNoFile) {
  const TemporaryFolder folder;
  expect_error([&] { MappedFile(folder / "none"); }, "none: cannot open: No such file");
  expect_error([&] { MappedFile(folder.path()); }, "is a folder");
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  expect_error([&] { MappedFile(folder / "pipe"); }, "not a regular file");
}

TEST(MappedFile, ReleasedPagesLeaveMemoryAndCanBeReadAgain) {
  const TemporaryFolder folder;
  constexpr size_t kBytes = 8 << 20;
  const MappedFile file(write_bytes(folder / "a", std::string(kBytes, 'x')));
  const auto sum = [&] {
    size_t total = 0;
    for (const char c : file.text()) total += static_cast<unsigned char>(c);
    return total;
  };
  const size_t before = sum();
  const size_t resident = resident_file_bytes();
  file.release(1, kBytes - 1);  // all pages but the first, which is only partly inside
  EXPECT_LE(resident_file_bytes() + kBytes * 9 / 10, resident);
  EXPECT_EQ(sum(), before);
  expect_error<Error>([&] { file.release(1, kBytes); }, "inside");
}

TEST(TextFile, ReadsFilesAndPipesUpToTheLimit) {
  const TemporaryFolder folder;
  const std::string text(200'000, 'y');
  EXPECT_EQ(read_text_file(write_bytes(folder / "a", text)), text);
  EXPECT_EQ(read_text_file(folder / "a", text.size()), text);
  EXPECT_EQ(read_text_file(write_bytes(folder / "empty", "")), "");
  expect_error([&] { read_text_file(folder / "a", text.size() - 1); }, "larger than 199999 bytes");
  expect_error([&] { read_text_file("/dev/zero", 1000); }, "larger than 1000 bytes");
  expect_error([&] { read_text_file(folder / "none"); }, "none: cannot open: No such file");
  expect_error([&] { read_text_file(folder.path()); }, "is a folder");
}

TEST(AtomicFile, ReplacesAndLeavesNothingBehind) {
  const TemporaryFolder folder;
  write_bytes(folder / "a", "previous");
  std::string expected;
  {
    AtomicFile file(folder / "a");
    for (int i = 0; i < 100'000; ++i) {  // across the buffer's border
      const std::string piece = std::to_string(i) + "\n";
      file.write(piece.data(), piece.size());
      expected += piece;
    }
    const std::string large(1 << 20, 'z');
    file.write(large.data(), large.size());
    expected += large;
    EXPECT_EQ(read_bytes(folder / "a"), "previous");
    file.commit();
  }
  EXPECT_EQ(read_bytes(folder / "a"), expected);
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(AtomicFile, WithoutCommitNothingChanges) {
  const TemporaryFolder folder;
  write_bytes(folder / "a", "previous");
  { AtomicFile(folder / "a").write("new", 3); }
  EXPECT_EQ(read_bytes(folder / "a"), "previous");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(AtomicFile, AFullDiskAtAnyPointLeavesThePreviousFile) {
  const TemporaryFolder folder;
  write_bytes(folder / "a", "previous");
  const std::string text(700'000, 'n');
  for (const rlim_t limit : {0, 1, 4095, 262'143, 262'144, 300'000, 524'288, 699'999}) {
    const FileSizeLimit full(limit);
    expect_error<Error>(
        [&] {
          AtomicFile file(folder / "a");
          for (size_t i = 0; i < text.size(); i += 1000) file.write(text.data() + i, 1000);
          file.commit();
        },
        "a: cannot write: File too large; the previous file is unchanged");
    EXPECT_EQ(read_bytes(folder / "a"), "previous") << limit;
    EXPECT_EQ(folder.entries(), 1u) << limit;
  }
  const FileSizeLimit enough(text.size());
  write_text_file(folder / "a", text);
  EXPECT_EQ(read_bytes(folder / "a"), text);
}

TEST(AtomicFile, NamesWhatIsInTheWay) {
  const TemporaryFolder folder;
  expect_error<Error>([&] { write_text_file(folder / "none/a", "x"); }, "none/a: cannot write: No such file");
  fs::create_directory(folder / "taken");
  expect_error<Error>([&] { write_text_file(folder / "taken", "x"); }, "taken: cannot write: Is a directory");
  expect_error<Error>([&] { write_text_file(folder / "taken/", "x"); }, "names a folder");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(AtomicFolder, AppearsWholeAndReplacesWhole) {
  const TemporaryFolder folder;
  const fs::path target = folder / "checkpoint-1";
  for (const std::string generation : {"first", "second"}) {
    AtomicFolder fresh(target);
    write_bytes(fresh.temporary() / generation, generation);
    fs::create_directory(fresh.temporary() / "sub");
    write_bytes(fresh.temporary() / "sub/b", generation);
    EXPECT_EQ(fs::exists(target / "first"), generation == "second");
    fresh.commit();
  }
  EXPECT_FALSE(fs::exists(target / "first"));
  EXPECT_EQ(read_bytes(target / "second"), "second");
  EXPECT_EQ(read_bytes(target / "sub/b"), "second");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(AtomicFolder, AFailureInsideLeavesThePreviousFolder) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "c");
  write_bytes(folder / "c/a", "previous");
  for (const rlim_t limit : {0, 10, 100}) {
    const FileSizeLimit full(limit);
    EXPECT_THROW(
        {
          AtomicFolder fresh(folder / "c/");
          write_text_file(fresh.temporary() / "a", std::string(5, 'a'));
          write_text_file(fresh.temporary() / "b", std::string(50, 'b'));
          write_text_file(fresh.temporary() / "c", std::string(500, 'c'));
          fresh.commit();
        },
        Error);
    EXPECT_EQ(read_bytes(folder / "c/a"), "previous");
    EXPECT_EQ(folder.entries(), 1u);
  }
}

TEST(AtomicFolder, NeverReplacesAFileOrALink) {
  const TemporaryFolder folder;
  write_bytes(folder / "file", "precious");
  fs::create_directory(folder / "real");
  fs::create_directory_symlink(folder / "real", folder / "link");
  for (const char* name : {"file", "link"}) {
    expect_error<Error>([&] { AtomicFolder fresh(folder / name); },
                        "Not a directory; the previous folder is unchanged");
  }
  {
    AtomicFolder fresh(folder / "late");
    write_bytes(folder / "late", "precious");
    expect_error<Error>([&] { fresh.commit(); }, "Not a directory");
  }
  EXPECT_EQ(read_bytes(folder / "late"), "precious");
  EXPECT_EQ(folder.entries(), 4u);
}

TEST(StrayNeighbours, OfDeadProcessesGoAndNothingElse) {
  const TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);  // a number that no process has now
  const auto stray = [](const std::string& name, pid_t process) {
    return fmt::format(".{}.tmp-{}-0", name, process);
  };
  write_bytes(folder / stray("metrics.jsonl", child), "half");
  write_bytes(folder / stray("earlier", ::getpid()), "of a process that had our number");
  fs::create_directories(folder / stray("checkpoint-4", child) / "sub");
  write_bytes(folder / stray("checkpoint-4", child) / "sub/b", "half");
  fs::create_directory(folder / "precious");
  write_bytes(folder / "precious/a", "precious");
  fs::create_directory_symlink(folder / "precious", folder / stray("link", child));

  const std::vector<std::string> kept = {stray("writing", ::getppid()),  // alive
                                         stray("root", 1),  // alive, whether or not it may be signalled
                                         fmt::format("visible.tmp-{}-0", child),
                                         fmt::format(".name.tmp-{}", child),
                                         fmt::format(".name.tmp-{}-x", child),
                                         fmt::format(".tmp-{}-0", child),  // of no name
                                         ".name.tmp--5-0",
                                         ".name.tmp-99999999999999999999-0",
                                         ".name.tmp-x-0"};
  for (const std::string& name : kept) write_bytes(folder / name, "kept");
  EXPECT_EQ(remove_stray_neighbours(folder.path()), 4);
  for (const std::string& name : kept) EXPECT_TRUE(fs::exists(folder / name)) << name;
  EXPECT_EQ(read_bytes(folder / "precious/a"), "precious");
  EXPECT_EQ(folder.entries(), kept.size() + 1);
  EXPECT_EQ(remove_stray_neighbours(folder / "nowhere"), 0);
}

}  // namespace
}  // namespace ft
