// What the tests of this folder share: a folder that goes away, bytes to files, and the shape of an error.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "engine/core/check.h"

namespace ft::testing {

/// An empty folder of its own, removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "ft-io-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }
  /// Entries directly in it, hidden ones included.
  size_t entries() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

/// A new file each time: some file systems sync one that is truncated and written again, which is slow.
inline std::filesystem::path write_bytes(const std::filesystem::path& path, std::string_view bytes) {
  std::filesystem::remove(path);
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return path;
}

inline std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::filesystem::path data_file(std::string_view name) {
  return std::filesystem::path(FT_SOURCE_DIR) / "tests/io/data" / name;
}

template <class T>
std::string as_bytes(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof(T)};
}

/// `action` throws E with one line that holds `part`.
template <class E = InputError, class F>
void expect_error(F&& action, std::string_view part) {
  try {
    action();
    ADD_FAILURE() << "expected an error with: " << part;
  } catch (const E& error) {
    const std::string_view what = error.what();
    EXPECT_NE(what.find(part), what.npos) << "expected: " << part << "\ngot:      " << what;
    EXPECT_EQ(what.find_first_of(std::string_view("\n\r\0", 3)), what.npos) << what;
  }
}

}  // namespace ft::testing
