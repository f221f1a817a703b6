// Layout, as read from nvcc 13's objects: a wrapper {magic, version, data}; data begins with a header {magic,
// version, header size, size of the entries}; an entry is {kind, version, header size, payload size,
// compressed size, ..., architecture at byte 28, flags at 40}, followed by its payload.
#include "kernels/sim/fatbin.h"

#include <cstdint>
#include <cstring>

#include "engine/core/check.h"

namespace ft::sim {
namespace {

constexpr uint32_t wrapper_magic = 0x466243b1, header_magic = 0xba55ed50;
constexpr uint16_t kind_ptx = 1;

template <class T>
T read(const char* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

}  // namespace

std::string extract_ptx(const void* wrapper) {
  const char* w = static_cast<const char*>(wrapper);
  FT_CHECK(read<uint32_t>(w) == wrapper_magic, "[cuda-sim] expected a fat binary, got the magic number {:#x}",
           read<uint32_t>(w));
  const char* data = read<const char*>(w + 8);
  FT_CHECK(read<uint32_t>(data) == header_magic, "[cuda-sim] expected a fat binary header, got {:#x}",
           read<uint32_t>(data));
  const char* entry = data + read<uint16_t>(data + 6);
  const char* end = entry + read<uint64_t>(data + 8);
  std::string best;
  uint32_t best_architecture = UINT32_MAX;
  bool compressed = false;
  while (entry + 64 <= end) {
    const auto kind = read<uint16_t>(entry);
    const auto header = read<uint32_t>(entry + 4);
    const auto size = read<uint64_t>(entry + 8);
    const auto architecture = read<uint32_t>(entry + 28);
    FT_CHECK(header >= 64 && header <= 4096 && size <= static_cast<uint64_t>(end - entry) - header,
             "[cuda-sim] a fat binary entry of {} + {} bytes does not fit", header, size);
    if (kind == kind_ptx) {
      const std::string text(entry + header, strnlen(entry + header, size));
      if (text.find(".version") == text.npos) {
        compressed = true;
      } else if (architecture < best_architecture) {
        best_architecture = architecture;
        best = text;
      }
    }
    entry += header + size;
  }
  FT_CHECK(!best.empty(),
           "[cuda-sim] expected PTX text in the object, got {}; build it with "
           "-gencode arch=compute_80,code=compute_80 --compress-mode=none",
           compressed ? "compressed PTX" : "none");
  return best;
}

}  // namespace ft::sim
