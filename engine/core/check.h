// Errors of the whole project: what was expected, what came, what to do.
//
// Library code throws; only the program's main turns an exception into a line on stderr and an exit code:
//   InputError  the user's input (YAML, arguments, files, data rows) is at fault   -> exit code 2
//   Error       anything else that stops a run                                     -> exit code 1
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace ft {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Bad input. The message is one line in the form "FILE[:LINE]: what is wrong; what to do".
class InputError : public Error {
 public:
  using Error::Error;
};

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
[[noreturn]] void bad_input(fmt::format_string<Args...> format, Args&&... args) {
  throw InputError(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace ft

/// Invariant of the program itself: throws ft::Error "[where] expected …, got …". Use bad_input() for what a
/// user can get wrong.
#define FT_CHECK(condition, ...)               \
  do {                                         \
    if (!(condition)) ::ft::fail(__VA_ARGS__); \
  } while (false)
