// The kernel shows the memory that the arguments lay in. They and the environment's strings lie end to end,
// and where the last byte of the arguments is overwritten, it reads on into the environment's (proc(5),
// cmdline): a title longer than the arguments goes there, after the environment has moved to memory of its
// own.
#include "tools/ftengine/process_title.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace ft {
namespace {

char* begin = nullptr;
size_t argument_bytes = 0, all_bytes = 0;

// The bytes that the strings take which follow on each other from `at` on.
size_t bytes_of_strings(char* const* strings, const char* at) {
  const char* const from = at;
  for (; *strings && *strings == at; ++strings) at += std::strlen(at) + 1;
  return static_cast<size_t>(at - from);
}

void move_environment() {
  static std::vector<std::string> strings;
  static std::vector<char*> pointers;
  for (char** e = environ; *e; ++e) strings.emplace_back(*e);
  for (std::string& s : strings) pointers.push_back(s.data());
  pointers.push_back(nullptr);
  environ = pointers.data();
}

}  // namespace

void keep_command_line(int argc, char** argv) {
  if (argc < 1 || !argv[0]) return;
  begin = argv[0];
  argument_bytes = bytes_of_strings(argv, begin);
  all_bytes = argument_bytes + bytes_of_strings(environ, begin + argument_bytes);
}

void set_process_title(const std::string& title) {
  prctl(PR_SET_NAME, title.substr(0, 15).c_str());
  static bool moved = false;
  if (title.size() >= argument_bytes && !moved) {
    move_environment();
    moved = true;
  }
  const size_t room = moved ? all_bytes : argument_bytes;
  if (room == 0) return;
  const size_t length = std::min(title.size(), room - 1);
  std::memcpy(begin, title.data(), length);
  std::memset(begin + length, 0, room - length);
}

}  // namespace ft
