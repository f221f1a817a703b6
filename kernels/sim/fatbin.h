// The container in which nvcc embeds device code.
#pragma once

#include <string>

namespace ft::sim {

/// The PTX text for the lowest architecture in a fat binary (`wrapper` as given to __cudaRegisterFatBinary).
/// Throws ft::Error where there is none, or only compressed text: build with --compress-mode=none and
/// -gencode arch=compute_80,code=compute_80.
std::string extract_ptx(const void* wrapper);

}  // namespace ft::sim
