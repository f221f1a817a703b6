// The built program as a stranger runs it: arguments in; exit code, both outputs, time and memory out.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace ft::cli {

namespace fs = std::filesystem;

struct Outcome {
  int code = -1;  // 128 + signal for a program that was killed
  std::string out, err;
  double seconds = 0;
  int64_t peak_bytes = 0;  // resident
};

/// What a run has to live with.
struct Hardship {
  std::optional<std::string> input = {};    // what its standard input holds; else the test's own is
  std::optional<uint64_t> most_bytes = {};  // no file may grow beyond that: like a disk that fills up
  fs::path interrupt_when = {};             // SIGINT once this file has something in it
  std::optional<double> kill_after = {};    // SIGKILL, seconds from the start
  std::string fault = {};                   // FT_FAULT, see engine/io/disk.h
  std::string backward_fault = {};          // FT_FAULT_BACKWARD, see engine/autograd/tape.cpp
};

/// Runs ftengine with `arguments` in `folder` (empty: where the test runs) and waits for its end.
Outcome ftengine(const std::vector<std::string>& arguments, const fs::path& folder = {},
                 const Hardship& hardship = {});

/// An empty folder that goes away with the object.
class TemporaryFolder {
 public:
  /// `in_memory`: in a file system that syncs for nothing, where there is one: for tests of many runs.
  explicit TemporaryFolder(bool in_memory = false);
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }
  fs::path operator/(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

/// tests/fixtures/models/CASE.
fs::path fixture(const std::string& name);
/// A copy of it in which a run may write: model/, adapter_init/, train.jsonl, exp.yaml …
void copy_fixture(const std::string& name, const fs::path& folder);

std::string read_bytes(const fs::path& file);
void write_bytes(const fs::path& file, const std::string& bytes);
/// Replaces the only occurrence of `from`, or fails the test.
void edit(const fs::path& file, const std::string& from, const std::string& to);
/// The objects of a JSONL file.
std::vector<nlohmann::json> read_jsonl(const fs::path& file);

/// Succeeded; prints what the program said otherwise.
void expect_success(const Outcome& o);
/// Exit code 2 and one line "error: …" on stderr that holds all `fragments`.
void expect_bad_input(const Outcome& o, const std::vector<std::string>& fragments);

/// Built with AddressSanitizer: slower, and memory figures mean nothing.
constexpr bool kSanitized =
#ifdef FT_SANITIZE
    true;
#else
    false;
#endif

}  // namespace ft::cli
