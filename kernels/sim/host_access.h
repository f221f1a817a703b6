// For stand-ins of libraries that compute on the host with device memory: the bounds and initialisation
// checks that a kernel would get. Launches have finished when they return, so nothing has to be waited for.
#pragma once

#include <cstddef>

namespace ft::sim {

/// A library call `who` reads or writes `rows` runs of row_bytes, stride_bytes apart, from p. False, with a
/// finding of kind "bounds", where they do not lie in one live device allocation. Reads report uninitialised
/// bytes when that is checked; writes mark bytes as initialised.
bool host_reads(const char* who, const void* p, size_t row_bytes, size_t stride_bytes, size_t rows);
bool host_writes(const char* who, void* p, size_t row_bytes, size_t stride_bytes, size_t rows);

}  // namespace ft::sim
