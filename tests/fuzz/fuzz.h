// What the fuzz targets of this folder share. A target is one file: it defines seeds(), words() and
// LLVMFuzzerTestOneInput, the entry that libFuzzer calls (preset `fuzz`) and driver.cpp as well (everywhere
// else). A new file is a new target; no list names them.
//
// What a hostile input may do is nothing, or be refused by an ft::InputError. Everything else is a finding:
// another exception (an out-of-memory error too), a crash, a sanitizer's report, too much memory, too much
// time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace ft::fuzz {

/// Good inputs, small ones, of every kind that the format has.
std::vector<std::string> seeds();
/// Words of the format, which mutations put in.
std::vector<std::string> words();

/// Inputs that were taken, for the driver's report.
inline int64_t accepted = 0;

template <class F>
int take_or_refuse(F&& f) {
  try {
    f();
    ++accepted;
  } catch (const InputError&) {
  }
  return 0;
}

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// A folder of this process in memory where there is such a file system; goes with the process.
const std::filesystem::path& scratch();
/// Writes (not atomically, not synced) and returns the path.
std::filesystem::path put(const std::string& name, std::string_view bytes);
/// Reads a file of the repository.
std::string repository_file(const std::string& name);

/// What a target must leave alone: fails unless the names in scratch() are those that put() made, and `more`.
void expect_only_own_files(const std::vector<std::string>& more = {});

}  // namespace ft::fuzz
