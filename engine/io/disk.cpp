#include "engine/io/disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "engine/core/check.h"

namespace ft::disk {
namespace {

enum class Kind { create, write, sync, rename };
constexpr std::string_view kKinds[] = {"create", "write", "sync", "rename"};
constexpr int kKill = -1, kLie = -2;

struct Fault {
  std::string_view kind;  // empty: none
  long first = 0;
  bool onwards = false;
  int how = ENOSPC;
};

Fault parse(const char* text) {
  if (!text || !*text) return {};
  std::string_view rest = text;
  const auto word = [&] {
    const size_t colon = std::min(rest.find(':'), rest.size());
    const std::string_view found = rest.substr(0, colon);
    rest.remove_prefix(std::min(colon + 1, rest.size()));
    return found;
  };
  Fault f{.kind = word()};
  std::string_view count = word();
  const std::string_view how = word();
  f.onwards = count.ends_with('+');
  if (f.onwards) count.remove_suffix(1);
  const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), f.first);
  bool known = f.kind == "any";
  for (const std::string_view kind : kKinds) known |= f.kind == kind;
  if (how == "EIO") f.how = EIO;
  if (how == "kill") f.how = kKill;
  if (how == "lie") f.how = kLie;
  if (!known || error != std::errc() || end != count.data() + count.size() || f.first < 1 ||
      !(how.empty() || how == "ENOSPC" || how == "EIO" || how == "kill" || how == "lie"))
    bad_input("FT_FAULT: {}: expected KIND:N[+][:HOW], such as write:3 or any:7+:EIO", text);
  return f;
}

// 0: go on.
int fault(Kind kind, const std::filesystem::path& path) {
  static const Fault planned = parse(std::getenv("FT_FAULT"));
  if (planned.kind.empty()) [[likely]]
    return 0;
  if (planned.kind != "any" && planned.kind != kKinds[static_cast<int>(kind)]) return 0;
  static std::atomic<long> calls{0};
  const long call = ++calls;
  if (call != planned.first && !(planned.onwards && call > planned.first)) return 0;
  fmt::print(stderr, "fault: {} {}, {}\n", kKinds[static_cast<int>(kind)], call, path.string());
  return planned.how;
}

// Ends the process where the fault says so.
int settle(int how) {
  if (how == kKill) ::raise(SIGKILL);
  return how == kLie ? 0 : how;
}

int write_some(const FileDescriptor& file, const std::byte* data, size_t bytes) {
  while (bytes > 0) {
    const ssize_t n = ::write(file.get(), data, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    data += n;
    bytes -= static_cast<size_t>(n);
  }
  return 0;
}

}  // namespace

int create_file(const std::filesystem::path& path, int flags, FileDescriptor& file) {
  if (const int how = settle(fault(Kind::create, path))) return how;
  file = FileDescriptor(::open(path.c_str(), flags | O_CREAT | O_CLOEXEC, 0666));
  return file ? 0 : errno;
}

int create_folder(const std::filesystem::path& path) {
  if (const int how = settle(fault(Kind::create, path))) return how;
  return ::mkdir(path.c_str(), 0777) == 0 ? 0 : errno;
}

int write(const FileDescriptor& file, const void* data, size_t bytes, const std::filesystem::path& path) {
  if (bytes == 0) return 0;
  const int how = fault(Kind::write, path);
  if (how == kLie) {
    const std::vector<std::byte> zeros(bytes);
    return write_some(file, zeros.data(), bytes);
  }
  const int error = write_some(file, static_cast<const std::byte*>(data), how ? bytes / 2 : bytes);
  return how ? settle(how) : error;
}

int resize(const std::filesystem::path& path, size_t bytes) {
  if (const int how = settle(fault(Kind::write, path))) return how;
  return ::truncate(path.c_str(), static_cast<off_t>(bytes)) == 0 ? 0 : errno;
}

int sync(const FileDescriptor& file, const std::filesystem::path& path) {
  if (const int how = settle(fault(Kind::sync, path))) return how;
  return ::fsync(file.get()) == 0 ? 0 : errno;
}

int rename(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (const int how = settle(fault(Kind::rename, to))) return how;
  return std::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

int exchange(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (const int how = settle(fault(Kind::rename, to))) return how;
  return ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0 ? 0 : errno;
}

}  // namespace ft::disk
