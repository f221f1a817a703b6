// The built program as a person runs it: on a terminal.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace ft::cli {

/// Bare containers have no terminals to give.
inline bool has_terminals() {
  const int fd = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (fd < 0) return false;
  const bool usable =
      ::grantpt(fd) == 0 && ::unlockpt(fd) == 0 && ::ptsname(fd) && ::access(::ptsname(fd), R_OK) == 0;
  ::close(fd);
  return usable;
}

/// The program on a terminal of its own.
class OnTerminal {
 public:
  OnTerminal(const std::vector<std::string>& arguments, const std::filesystem::path& folder) {
    const std::string program = std::string(FT_BINARY_DIR) + "/ftengine";
    std::vector<char*> argv = {const_cast<char*>(program.c_str())};
    for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    child_ = ::forkpty(&terminal_, nullptr, nullptr, nullptr);
    if (child_ != 0) return;
    ::unsetenv("NO_COLOR");
    if (::chdir(folder.c_str()) == 0) ::execv(program.c_str(), argv.data());
    ::_exit(127);
  }
  ~OnTerminal() {
    if (child_ > 0) ::kill(child_, SIGKILL), ::waitpid(child_, nullptr, 0);
    ::close(terminal_);
  }
  void type(const std::string& keys) { EXPECT_GT(::write(terminal_, keys.data(), keys.size()), 0); }
  /// Waits for `text`, and takes what is on the screen up to it.
  void expect(const std::string& text) {
    size_t at = 0;
    while ((at = screen_.find(text)) == screen_.npos) {
      pollfd ready{terminal_, POLLIN, 0};
      char part[4096];
      const ssize_t n = ::poll(&ready, 1, 60'000) == 1 ? ::read(terminal_, part, sizeof part) : -1;
      ASSERT_GT(n, 0) << "no '" << text << "' in:\n" << screen_;
      screen_.append(part, static_cast<size_t>(n));
    }
    screen_.erase(0, at + text.size());
  }
  int exit_code() {
    int status = 0;
    ::waitpid(std::exchange(child_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  int terminal_ = -1;
  pid_t child_ = -1;
  std::string screen_;
};

}  // namespace ft::cli
