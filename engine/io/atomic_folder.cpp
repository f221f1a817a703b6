#include "engine/io/atomic_folder.h"

#include <fcntl.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "engine/core/check.h"
#include "engine/io/atomic_file.h"
#include "engine/io/disk.h"
#include "engine/io/file_descriptor.h"

namespace ft {
namespace fs = std::filesystem;
namespace {

constexpr int kNameAttempts = 100;

int sync_file(const fs::path& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  return file ? disk::sync(file, path) : errno;
}

/// Syncs every file and folder under `root`, and `root` itself. Returns 0 or an errno value.
int sync_tree(const fs::path& root) {
  std::error_code error;
  for (fs::recursive_directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
    const fs::file_status status = it->symlink_status(error);
    if (error) break;
    const int failed = fs::is_directory(status)      ? sync_folder(it->path())
                       : fs::is_regular_file(status) ? sync_file(it->path())
                                                     : 0;
    if (failed) return failed;
  }
  return error ? error.value() : sync_folder(root);
}

/// Gives the folder `fresh` the name `path` and the folder at `path`, if there is one, the name `fresh`.
/// Returns 0 or an errno value; on failure both are where they were.
int exchange(const fs::path& fresh, const fs::path& path) {
  const int failed = disk::exchange(fresh, path);
  if (failed == ENOENT) return disk::rename(fresh, path);  // nothing to replace
  if (failed != EINVAL && failed != ENOSYS && failed != ENOTSUP) return failed;
  const fs::path aside = temporary_neighbour(path);
  if (const int error = disk::rename(path, aside)) return error;
  if (const int error = disk::rename(fresh, path)) {
    if (disk::rename(aside, path) == 0) return error;
    fail("{}: cannot write: {}; the previous folder is now {}", path.string(), errno_text(error),
         aside.string());
  }
  // Where the caller removes it; else it stays under its hidden name.
  [[maybe_unused]] const int ignored = disk::rename(aside, fresh);
  return 0;
}

}  // namespace

AtomicFolder::AtomicFolder(fs::path path) : path_(std::move(path)) {
  if (path_.filename().empty()) path_ = path_.parent_path();  // "folder/"
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path_, error);
  if (fs::exists(status) && !fs::is_directory(status)) fail_unchanged(ENOTDIR);
  int failed = EEXIST;
  for (int attempt = 0; failed == EEXIST && attempt < kNameAttempts; ++attempt) {
    temporary_ = temporary_neighbour(path_);
    failed = disk::create_folder(temporary_);
  }
  if (failed) fail_unchanged(failed);
  created_ = true;
}

AtomicFolder::~AtomicFolder() {
  std::error_code
      ignored;  // a destructor reports nothing; what cannot be removed stays under its hidden name
  if (created_) fs::remove_all(temporary_, ignored);
}

void AtomicFolder::fail_unchanged(int error) const {
  throw WriteError(path_, error, "; the previous folder is unchanged");
}

void AtomicFolder::commit() {
  FT_CHECK(created_, "[AtomicFolder] expected one commit, got a second of {}", path_.string());
  if (const int error = sync_tree(temporary_)) fail_unchanged(error);
  std::error_code ignored;
  const fs::file_status status = fs::symlink_status(path_, ignored);
  if (fs::exists(status) && !fs::is_directory(status)) fail_unchanged(ENOTDIR);
  if (const int error = exchange(temporary_, path_)) fail_unchanged(error);
  const int error = sync_folder(parent_folder(path_));
  fs::remove_all(temporary_, ignored);  // the previous folder, after its successor is safe
  created_ = false;
  if (error)
    throw WriteError(path_, error,
                     " (its parent cannot be synced; a power cut may bring the previous folder back)");
}

bool discard_folder(const fs::path& path) {
  const fs::path hidden = temporary_neighbour(path);
  if (disk::rename(path, hidden) != 0) return false;
  std::error_code error;
  fs::remove_all(hidden, error);
  return !error;
}

}  // namespace ft
