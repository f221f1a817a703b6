// The folder that a run writes: made with its parents, never shared by two runs, never mixed with an earlier
// one.
#pragma once

#include <filesystem>

namespace ft {

class OutputDir {
 public:
  /// Makes and locks the folder, and removes what killed runs left half-written in it. One that holds a run
  /// is refused unless `resume` or `overwrite`. Throws ft::InputError.
  OutputDir(const std::filesystem::path& path, bool resume, bool overwrite);
  ~OutputDir();
  OutputDir(const OutputDir&) = delete;
  OutputDir& operator=(const OutputDir&) = delete;

  /// Removes what a run writes and nothing else, if the folder holds a run; for `overwrite`, as late as can
  /// be: a configuration that turns out to be wrong must not cost the earlier run.
  void clear();

 private:
  std::filesystem::path path_;
  int lock_ = -1;
};

/// Bytes that OutputDir::clear() would give back.
double clearable_bytes(const std::filesystem::path& output_dir);

}  // namespace ft
