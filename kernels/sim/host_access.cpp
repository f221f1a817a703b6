#include "kernels/sim/host_access.h"

#include <fmt/format.h>

#include "kernels/sim/checker.h"
#include "kernels/sim/memory_shadow.h"

namespace ft::sim {
namespace {

bool in_bounds(const char* who, const char* verb, const void* p, size_t row_bytes, size_t stride_bytes,
               size_t rows) {
  if (rows == 0 || row_bytes == 0) return true;
  const auto at = reinterpret_cast<uint64_t>(p);
  const auto table = MemoryTable::get().snapshot();
  const Allocation* hit = table->find(at);
  const unsigned __int128 span = static_cast<unsigned __int128>(stride_bytes) * (rows - 1) + row_bytes;
  if (hit != nullptr && span <= hit->end() - at) return true;
  const uint64_t bytes = span > UINT64_MAX ? UINT64_MAX : static_cast<uint64_t>(span);
  report("bounds", who, verb,
         hit == nullptr ? fmt::format("{} {} bytes at {:#x}: {}", verb, bytes, at, table->nearest(at))
                        : fmt::format("{} {} bytes, of which {} lie in the allocation of {} bytes", verb,
                                      bytes, hit->end() - at, hit->size));
  return false;
}

}  // namespace

bool host_reads(const char* who, const void* p, size_t row_bytes, size_t stride_bytes, size_t rows) {
  if (!in_bounds(who, "reads", p, row_bytes, stride_bytes, rows)) return false;
  for (size_t row = 0; row < rows; ++row)
    check_read(who, static_cast<const char*>(p) + row * stride_bytes, row_bytes);
  return true;
}

bool host_writes(const char* who, void* p, size_t row_bytes, size_t stride_bytes, size_t rows) {
  if (!in_bounds(who, "writes", p, row_bytes, stride_bytes, rows)) return false;
  for (size_t row = 0; row < rows; ++row) mark_written(static_cast<char*>(p) + row * stride_bytes, row_bytes);
  return true;
}

}  // namespace ft::sim
