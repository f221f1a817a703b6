#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>

#include "tests/fuzz/fuzz.h"

namespace ft::fuzz {
namespace fs = std::filesystem;
namespace {

std::set<std::string>& own_files() {
  static std::set<std::string> names;
  return names;
}

struct Scratch {
  fs::path path;
  Scratch() {
    std::error_code none;
    const fs::path memory = "/dev/shm";
    std::string name =
        ((fs::is_directory(memory, none) ? memory : fs::temp_directory_path()) / "ft-fuzz-XXXXXX").string();
    if (!::mkdtemp(name.data())) std::abort();
    path = name;
  }
  ~Scratch() {
    std::error_code none;
    fs::remove_all(path, none);
  }
};

}  // namespace

const fs::path& scratch() {
  static const Scratch folder;
  return folder.path;
}

fs::path put(const std::string& name, std::string_view bytes) {
  const fs::path path = scratch() / name;
  if (path.parent_path() != scratch()) fs::create_directories(path.parent_path());
  own_files().insert(path.lexically_relative(scratch()).begin()->string());
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (!file) std::abort();
  const bool whole = bytes.empty() || std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  if (std::fclose(file) != 0 || !whole) std::abort();
  return path;
}

std::string repository_file(const std::string& name) {
  std::ifstream file(fs::path(FT_SOURCE_DIR) / name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void expect_only_own_files(const std::vector<std::string>& more) {
  std::set<std::string> known = own_files();
  known.insert(more.begin(), more.end());
  for (const auto& entry : fs::directory_iterator(scratch()))
    if (!known.contains(entry.path().filename().string()))
      throw std::logic_error("a file that nobody may write: " + entry.path().string());
}

}  // namespace ft::fuzz
