// Replace a folder, all or nothing: checkpoints.
//
// Invariant: at every moment `path` names the previous folder whole, the new one whole, or (file systems that
// cannot exchange two names, for the time of one system call) nothing, with the previous folder beside it.
// Files are written into a hidden neighbour; commit() syncs every file and folder of it, then exchanges the
// names and removes the previous folder. Costs one fsync a file.
#pragma once

#include <filesystem>

namespace ft {

class AtomicFolder {
 public:
  /// Creates the neighbour. Throws WriteError, as every member does, in the form
  /// "FOLDER: cannot write: REASON; the previous folder is unchanged". `path` may be free or a folder, which
  /// commit() replaces with everything in it; never a file or a symbolic link.
  explicit AtomicFolder(std::filesystem::path path);
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;
  /// Without a commit: removes the neighbour, and `path` stays as it was.
  ~AtomicFolder();

  /// Where to write the files until commit().
  const std::filesystem::path& temporary() const { return temporary_; }
  /// Makes the neighbour the folder `path`. Last call on this object.
  void commit();

 private:
  [[noreturn]] void fail_unchanged(int error) const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  bool created_ = false;
};

/// Removes a folder so that a kill in the middle leaves no half of it under its name: it takes a neighbour's
/// hidden name first, which remove_stray_neighbours() knows. False if something of it is left.
bool discard_folder(const std::filesystem::path& path);

}  // namespace ft
