#include "engine/io/atomic_folder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "engine/core/check.h"
#include "engine/io/atomic_file.h"
#include "engine/io/file_descriptor.h"

namespace ft {
namespace fs = std::filesystem;
namespace {

constexpr int kNameAttempts = 100;

int sync_file(const fs::path& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  return file && ::fsync(file.get()) == 0 ? 0 : errno;
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
  if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0) return 0;
  if (errno == ENOENT) {  // nothing to replace
    return std::rename(fresh.c_str(), path.c_str()) == 0 ? 0 : errno;
  }
  if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP) return errno;
  const fs::path aside = temporary_neighbour(path);
  if (std::rename(path.c_str(), aside.c_str()) != 0) return errno;
  if (std::rename(fresh.c_str(), path.c_str()) != 0) {
    const int error = errno;
    if (std::rename(aside.c_str(), path.c_str()) == 0) return error;
    fail("{}: cannot write: {}; the previous folder is now {}", path.string(), errno_text(error),
         aside.string());
  }
  std::rename(aside.c_str(),
              fresh.c_str());  // where the caller removes it; else it stays under its hidden name
  return 0;
}

}  // namespace

AtomicFolder::AtomicFolder(fs::path path) : path_(std::move(path)) {
  if (path_.filename().empty()) path_ = path_.parent_path();  // "folder/"
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path_, error);
  if (fs::exists(status) && !fs::is_directory(status)) fail_unchanged(ENOTDIR);
  for (int attempt = 0; attempt < kNameAttempts; ++attempt) {
    temporary_ = temporary_neighbour(path_);
    created_ = ::mkdir(temporary_.c_str(), 0777) == 0;
    if (created_) return;
    if (errno != EEXIST) break;
  }
  fail_unchanged(errno);
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
  if (error) {
    fail("{}: written, but its parent cannot be synced: {}; a power cut may bring the previous folder back",
         path_.string(), errno_text(error));
  }
}

}  // namespace ft
