// The folder that a run writes: made with its parents, never shared by two runs, never mixed with an earlier
// one.
#pragma once

#include <filesystem>

namespace ft {

class OutputDir {
 public:
  /// Makes and locks the folder. One that holds a run is refused unless `resume` or `overwrite`; `overwrite`
  /// removes what a run writes (and nothing else). Throws ft::InputError.
  OutputDir(const std::filesystem::path& path, bool resume, bool overwrite);
  ~OutputDir();
  OutputDir(const OutputDir&) = delete;
  OutputDir& operator=(const OutputDir&) = delete;

 private:
  std::filesystem::path path_;
  int lock_ = -1;
};

}  // namespace ft
