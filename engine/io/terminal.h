// Whether a person looks at an output.
#pragma once

#include <unistd.h>

#include <cstdlib>

namespace ft {

inline bool is_terminal(int file) {
  return isatty(file) != 0;
}
/// Colours are for terminals, and only where NO_COLOR is not set.
inline bool takes_colour(int file) {
  return is_terminal(file) && !std::getenv("NO_COLOR");
}

}  // namespace ft
