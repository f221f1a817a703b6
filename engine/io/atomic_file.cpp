#include "engine/io/atomic_file.h"

#include <fcntl.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "engine/io/disk.h"

namespace ft {
namespace fs = std::filesystem;
namespace {

constexpr size_t kBufferBytes = 256 << 10;
constexpr int kNameAttempts = 100;  // names left behind by a killed process that had our process number

/// `text` as digits from its first character to its last.
std::optional<long> number(std::string_view text) {
  long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

/// The process that ".NAME.tmp-PID-N" belongs to; nothing for another name.
std::optional<long> owner(std::string_view name) {
  constexpr std::string_view kMark = ".tmp-";
  const size_t mark = name.rfind(kMark);
  if (!name.starts_with('.') || mark == std::string_view::npos || mark < 2) return std::nullopt;
  const std::string_view tail = name.substr(mark + kMark.size());
  const size_t dash = tail.find('-');
  if (dash == std::string_view::npos || !number(tail.substr(dash + 1))) return std::nullopt;
  return number(tail.substr(0, dash));
}

/// Could it still be writing?
bool alive(long process) {
  if (process <= 0 || process > INT32_MAX || process == ::getpid()) return false;
  return ::kill(static_cast<pid_t>(process), 0) == 0 || errno == EPERM;
}

}  // namespace

int remove_stray_neighbours(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> strays;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (const auto process = owner(it->path().filename().string()); process && !alive(*process))
      strays.push_back(it->path());
  int removed = 0;
  for (const fs::path& stray : strays) {
    fs::remove_all(stray, error);
    removed += !error;
  }
  return removed;
}

std::filesystem::path temporary_neighbour(const std::filesystem::path& path) {
  static std::atomic<unsigned> counter{0};
  return parent_folder(path) /
         fmt::format(".{}.tmp-{}-{}", path.filename().string(), ::getpid(), counter.fetch_add(1));
}

std::filesystem::path parent_folder(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

int sync_folder(const std::filesystem::path& folder) {
  const FileDescriptor handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!handle) return errno;
  const int error = disk::sync(handle, folder);
  return error == EINVAL || error == ENOTSUP ? 0 : error;
}

AtomicFile::AtomicFile(std::filesystem::path path)
    : path_(std::move(path)), buffer_(std::make_unique<std::byte[]>(kBufferBytes)) {
  if (path_.filename().empty()) fail("{}: cannot write: names a folder; give a file name", path_.string());
  int error = EEXIST;
  for (int attempt = 0; error == EEXIST && attempt < kNameAttempts; ++attempt) {
    temporary_ = temporary_neighbour(path_);
    error = disk::create_file(temporary_, O_WRONLY | O_EXCL, file_);
  }
  if (error) fail_unchanged(error);
}

AtomicFile::~AtomicFile() {
  if (file_ && !committed_) ::unlink(temporary_.c_str());
}

void AtomicFile::fail_unchanged(int error) const {
  throw WriteError(path_, error, "; the previous file is unchanged");
}

void AtomicFile::write(const void* data, size_t bytes) {
  FT_CHECK(!committed_, "[AtomicFile] expected no write after commit, got one to {}", path_.string());
  if (bytes > kBufferBytes - buffered_) flush();
  if (bytes > kBufferBytes) {
    write_through(data, bytes);
  } else if (bytes > 0) {
    std::memcpy(buffer_.get() + buffered_, data, bytes);
    buffered_ += bytes;
  }
}

void AtomicFile::write_through(const void* data, size_t bytes) {
  if (const int error = disk::write(file_, data, bytes, path_)) fail_unchanged(error);
}

void AtomicFile::flush() {
  write_through(buffer_.get(), buffered_);
  buffered_ = 0;
}

void AtomicFile::commit() {
  FT_CHECK(!committed_, "[AtomicFile] expected one commit, got a second of {}", path_.string());
  flush();
  if (const int error = disk::sync(file_, path_)) fail_unchanged(error);
  if (const int error = disk::rename(temporary_, path_)) fail_unchanged(error);
  committed_ = true;
  if (const int error = sync_folder(parent_folder(path_)))
    throw WriteError(path_, error,
                     " (its folder cannot be synced; a power cut may bring the previous file back)");
}

}  // namespace ft
