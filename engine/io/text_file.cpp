#include "engine/io/text_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "engine/core/check.h"
#include "engine/io/atomic_file.h"
#include "engine/io/file_descriptor.h"

namespace ft {

std::string read_text_file(const std::filesystem::path& path, size_t max_bytes) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) bad_input("{}: cannot open: {}", path.string(), errno_text(errno));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) bad_input("{}: cannot open: {}", path.string(), errno_text(errno));
  if (S_ISDIR(status.st_mode)) bad_input("{}: is a folder; give a file", path.string());

  // The size is a hint only (a pipe has none): one byte is read past it to see the end, or the excess.
  constexpr size_t kStep = 64 << 10;
  const size_t hint = status.st_size > 0 ? static_cast<size_t>(status.st_size) : kStep;
  std::string text(std::min(hint, max_bytes) + 1, '\0');
  size_t used = 0;
  for (;;) {
    const ssize_t n = ::read(file.get(), text.data() + used, text.size() - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) bad_input("{}: cannot read: {}", path.string(), errno_text(errno));
    if (n == 0) break;
    used += static_cast<size_t>(n);
    if (used > max_bytes)
      bad_input("{}: is larger than {} bytes, the limit for such a file", path.string(), max_bytes);
    if (used == text.size()) text.resize(std::min(2 * used, max_bytes + 1));
  }
  text.resize(used);
  return text;
}

void write_text_file(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text.data(), text.size());
  file.commit();
}

}  // namespace ft
