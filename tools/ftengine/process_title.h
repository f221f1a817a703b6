// What `ps` and `top` call this process.
#pragma once

#include <string>

namespace ft {

/// To be called first in main: where the command line lies, which a title takes the place of. It is no longer
/// to be read from argv once a title is set.
void keep_command_line(int argc, char** argv);
/// The command line becomes `title`, the name (15 bytes, what `top` shows) its beginning. Not thread-safe.
void set_process_title(const std::string& title);

}  // namespace ft
