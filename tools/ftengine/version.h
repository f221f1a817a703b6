#pragma once

#include <string>

namespace ft {

/// "ftengine 0.1.0 (commit)", and what this binary can do.
std::string version_text();
std::string version_number();
std::string commit();

}  // namespace ft
